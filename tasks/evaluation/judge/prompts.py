"""The prompts for a judge: the recipe's texts with an instruction, its expected answer and what models wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tasks.evaluation.judge.config import JudgeConfig


def score_prompt(config: JudgeConfig, row: Mapping[str, Any]) -> str:
    """Return the prompt that asks for a score of one answer."""
    return _filled(config.prompt, _asked(row) | {"answer": row["answer"]})


def pair_prompts(config: JudgeConfig, row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the prompts that ask for the better of two answers: the model's as A, then the model's as B."""
    own, other = row["answer"], row["against_answer"]
    return (
        _filled(config.pair_prompt, _asked(row) | {"first": own, "second": other}),
        _filled(config.pair_prompt, _asked(row) | {"first": other, "second": own}),
    )


def prompts(config: JudgeConfig, row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all that the judge is asked of one instruction."""
    return (score_prompt(config, row), *(() if row["against_answer"] is None else pair_prompts(config, row)))


def _asked(row: Mapping[str, Any]) -> dict[str, str]:
    return {"instruction": row["instruction"], "expected": row["expected"]}


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Return a template with its parts filled in at once, so that braces in a text are not taken for a part."""
    return re.sub(r"\{(\w+)\}", lambda found: parts.get(found[1], found[0]), template)
