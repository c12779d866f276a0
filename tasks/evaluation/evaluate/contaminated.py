"""Accuracy on clean and on contaminated items: those not found in training documents, and those found there.

GPT-3's authors report both (Brown et al. 2020, § 4), because a score on items that were read in training may reflect
memory. No evaluation harness does so while it runs (lm-evaluation-harness #231 has asked for it since 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.evaluation.evaluate.benchmarks import Accuracy, mean_and_stderr
from tasks.synthetic.questions.files import Seen


def with_parts(accuracy: Accuracy, seen: Seen) -> dict[str, Any]:
    """Return the summary of a benchmark, with nested summaries of its clean and its contaminated items."""
    parts = {"clean": False, "contaminated": True}
    return {
        **accuracy.summary(),
        **{
            name: _part([item for item in accuracy.items if seen.contaminated[item["item"]] == wanted])
            for name, wanted in parts.items()
        },
    }


def _part(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of items, and accuracies with standard errors, which are None if there are no items."""
    found: dict[str, Any] = {"n": len(items)}
    for name, field in (("acc", "correct"), ("acc_norm", "correct_norm")):
        mean, stderr = mean_and_stderr([item[field] for item in items]) if items else (None, None)
        found |= {name: mean, f"{name}_stderr": stderr}
    return found


def parts_in_words(found: Mapping[str, Any]) -> str:
    """Return the two parts of a benchmark as text for a person; empty if every item is clean."""
    if not found["contaminated"]["n"]:
        return ""
    texts = []
    for name in ("clean", "contaminated"):
        part = found[name]
        if part["n"]:
            stderr = f" ± {part['acc_norm_stderr']:.3f}" if part["acc_norm_stderr"] else ""
            texts.append(f"{name} {part['acc_norm']:.3f}{stderr} of {part['n']}")
    return f" ({', '.join(texts)})"
