"""The judgements of a model's answers: a row for each instruction, and what all rows say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.evaluation.comparing.statistics import LEVEL, Effect, mcnemar, paired_bootstrap
from tasks.evaluation.judge.client import Failure, Words
from tasks.evaluation.judge.config import JudgeConfig
from tasks.evaluation.judge.prompts import pair_prompts, score_prompt
from tasks.evaluation.judge.verdicts import NoVerdict, letter_of, score_of

Found = Mapping[str, Words | Failure]
Row = dict[str, Any]

WON, TIED, LOST = "win", "tie", "loss"
# letters of the two orders → what they say of the model, which is A in the first and B in the second
_VERDICTS = {("A", "B"): WON, ("B", "A"): LOST}


def judged(config: JudgeConfig, row: Row, found: Found, key: Callable[[str], str]) -> Row:
    """Return a row with the judge's words and what they mean; where they mean nothing, with the reason."""
    prompt = score_prompt(config, row)
    words, score, reason = _read(found[prompt], score_of)
    row = {**row, "score_key": key(prompt), "score_words": words, "score": score, "score_failure": reason}
    if row["against_answer"] is None:
        return {**row, **dict.fromkeys(PAIR_FIELDS)}
    both = pair_prompts(config, row)
    (first, letter, why), (second, other, why_other) = (_read(found[prompt], letter_of) for prompt in both)
    failure = why or why_other
    return {
        **row,
        "first_key": key(both[0]),
        "first_words": first,
        "second_key": key(both[1]),
        "second_words": second,
        # a judge that changes its mind with the order finds no difference
        "verdict": None if failure else _VERDICTS.get((letter, other), TIED),
        "pair_failure": failure,
    }


PAIR_FIELDS = ("first_key", "first_words", "second_key", "second_words", "verdict", "pair_failure")


def _read(said: Words | Failure, meaning: Callable[..., Any]) -> tuple[str | None, Any, str | None]:
    if isinstance(said, Failure):
        return None, None, said.reason
    try:
        return said.text, meaning(said.text, cut=said.cut), None
    except NoVerdict as reason:
        return said.text, None, str(reason)


def scores(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the mean score with its bootstrap interval, over the answers that have one, and the failures by reason.

    `if_failures_0` and `if_failures_100` are the mean if every answer without a score had the lowest or the highest:
    the truth lies in between.
    """
    import numpy as np

    values = [row["score"] for row in rows if row["score"] is not None]
    missing = len(rows) - len(values)
    effect = paired_bootstrap(np.array(values)) if values else None
    return {
        "asked": len(rows),
        "n": len(values),
        "failures": _failures(rows, "score_failure"),
        "mean": effect and effect.difference,
        "level": LEVEL,
        "low": _bound(effect, "low"),
        "high": _bound(effect, "high"),
        "if_failures_0": sum(values) / len(rows),
        "if_failures_100": (sum(values) + 100 * missing) / len(rows),
    }


def pairs(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how often the model won, tied and lost against the other, with an exact sign test over wins and losses."""
    import numpy as np

    verdicts = [row["verdict"] for row in rows if row["verdict"] is not None]
    won, lost = (np.array([verdict == one for verdict in verdicts]) for one in (WON, LOST))
    effect = mcnemar(lost, won) if verdicts else None
    agreed = sum(row["verdict"] in (WON, LOST) for row in rows)
    return {
        "asked": len(rows),
        "n": len(verdicts),
        "failures": _failures(rows, "pair_failure"),
        "wins": int(won.sum()),
        "ties": len(verdicts) - agreed,
        "losses": int(lost.sum()),
        "wins_minus_losses": effect and effect.difference,
        "level": LEVEL,
        "low": effect and effect.low,
        "high": effect and effect.high,
        "p": effect and effect.p,
    }


def _failures(rows: Sequence[Row], field: str) -> dict[str, int]:
    return dict(sorted(Counter(row[field] for row in rows if row[field] is not None).items()))


def _bound(effect: Effect | None, name: str) -> float | None:
    bound: float | None = getattr(effect, name, None)
    return None if bound is None else min(100.0, max(0.0, bound))
