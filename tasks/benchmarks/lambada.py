"""LAMBADA (Paperno et al. 2016): the last word of a passage that only the whole passage tells."""

from __future__ import annotations

from tasks.benchmarks.base import ACC, BadRow, Benchmark, Item, Metric, Row
from tasks.benchmarks.fields import text


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a passage; or of llm-foundry's rows, which have context and continuation."""
    if "text" not in row and "continuation" in row:
        before, last = text(row, "context"), text(row, "continuation").strip()
    else:
        before, _, last = text(row, "text").rpartition(" ")
    if not before.strip() or not last.strip():
        raise BadRow("text does not consist of several words, of which the last is asked")
    return Item((before,), (f" {last}",), question=before, answer=last)


def line(written: str) -> Row:
    """Return the row of a line of lambada_test_plain_text.txt."""
    return {"text": written}


LAMBADA_OPENAI = Benchmark(
    "lambada_openai",
    item,
    "greedy",
    metrics=(ACC, Metric("perplexity", "perplexity", higher_is_better=False)),
    evaluated="test",
    shots_from="test",
    excludes=False,
    plain_text=line,
)
