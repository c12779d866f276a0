"""SQuAD's evaluation script (Rajpurkar et al. 2018), as far as lm-eval's ReCoRD uses it: transformers 5 has it no more.

lm-eval 0.4.13 imports it from transformers.data.metrics.squad_metrics.
"""

from __future__ import annotations

import collections
import re
import string
import sys
import types


def normalize_answer(s: str) -> str:
    def remove_articles(text: str) -> str:
        return re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text)

    def remove_punc(text: str) -> str:
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    return " ".join(remove_articles(remove_punc(s.lower())).split())


def get_tokens(s: str) -> list[str]:
    return normalize_answer(s).split() if s else []


def compute_exact(a_gold: str, a_pred: str) -> int:
    return int(normalize_answer(a_gold) == normalize_answer(a_pred))


def compute_f1(a_gold: str, a_pred: str) -> float:
    gold_toks, pred_toks = get_tokens(a_gold), get_tokens(a_pred)
    num_same = sum((collections.Counter(gold_toks) & collections.Counter(pred_toks)).values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = 1.0 * num_same / len(pred_toks), 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def put_back() -> None:
    """Put the module where lm-eval looks for it, if transformers does not have it."""
    try:
        import transformers.data.metrics.squad_metrics  # noqa: F401
    except ImportError:
        metrics, module = (types.ModuleType(name) for name in ("metrics", "squad_metrics"))
        module.compute_f1, module.compute_exact = compute_f1, compute_exact  # type: ignore[attr-defined]
        metrics.squad_metrics = module  # type: ignore[attr-defined]
        sys.modules["transformers.data.metrics"] = metrics
        sys.modules["transformers.data.metrics.squad_metrics"] = module
