"""Accuracy on clean and on contaminated items: those not found in training documents, and those found there.

GPT-3's authors report both (Brown et al. 2020, § 4), because a score on items that were read in training may reflect
memory. No evaluation harness does so while it runs (lm-evaluation-harness #231 has asked for it since 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def parts_in_words(found: Mapping[str, Any]) -> str:
    """Return the two parts of a benchmark as text for a person; empty if every item is clean."""
    if not found["contaminated"]["n"]:
        return ""
    texts, metric = [], found["metric"]
    for name in ("clean", "contaminated"):
        part = found[name]
        if part["n"]:
            stderr = f" ± {part[f'{metric}_stderr']:.3f}" if part[f"{metric}_stderr"] else ""
            texts.append(f"{name} {part[metric]:.3f}{stderr} of {part['n']}")
    return f" ({', '.join(texts)})"
