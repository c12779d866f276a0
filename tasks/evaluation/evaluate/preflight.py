"""Checks of the evaluate stage before it runs: the device exists, and windows and choices fit the context."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.tokenizer import PATTERNS
from tasks.stage import PermanentError
from tasks.stage.preflight import Facts, Fault, device_faults
from tasks.synthetic.questions.config import QuestionsConfig
from tasks.synthetic.questions.preflight import Choices, has_texts, left_out, own_benchmarks

if TYPE_CHECKING:
    from tasks.evaluation.evaluate.config import EvaluateConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: EvaluateConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be measured."""
    yield from device_faults("evaluate.device", config.device)
    context = facts.value("pretrain.model.max_seq_len")
    if context is not None and config.min_context > context:
        yield Fault(
            "evaluate.min_context",
            f"A token cannot be predicted from {config.min_context:,} others at least by a model whose context is "
            f"{context:,} (pretrain.model.max_seq_len).",
        )
    asked = facts.configs.get("questions")
    if not isinstance(asked, QuestionsConfig):
        return
    for field, path, read in own_benchmarks(asked):
        items: list[Choices] = []
        with contextlib.suppress(PermanentError, ValueError, OSError):  # the check of questions reports why
            items = [choices for choices in read() if has_texts(choices)]
        if items:
            fitting = [choices for choices in items if not any(_is_too_long(choice, facts) for choice in choices)]
            yield from left_out(field, path, items, fitting, "longer than the context")


def _is_too_long(choice: str, facts: Facts) -> bool:
    """Return whether a choice alone is certainly longer than the context: each piece that the pattern splits text into
    becomes at least one token. The exact number of tokens is not known before the tokenizer exists."""
    context, pattern = facts.value("pretrain.model.max_seq_len"), PATTERNS.get(facts.value("tokenizer.pattern") or "")
    if context is None or pattern is None or not _is_learned(facts) or len(choice) <= context:
        return False
    import regex

    return len(regex.findall(pattern, choice)) > context


def _is_learned(facts: Facts) -> bool:
    """Return whether the tokenizer will be learned with the recipe's pattern, and is not one that is there already."""
    return not any(facts.value(f"tokenizer.{name}") for name in ("keep", "ready", "files"))
