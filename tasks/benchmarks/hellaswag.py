"""HellaSwag (Zellers et al. 2019): which of four endings continues a description of a video or a WikiHow step."""

from __future__ import annotations

from tasks.benchmarks.base import Benchmark, Item, Row
from tasks.benchmarks.fields import place, text, texts
from tasks.corpus.benchmarks.formats import clean_hellaswag


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a row of hellaswag_val.jsonl."""
    a, b = text(row, "ctx_a", empty=True), text(row, "ctx_b", empty=True)
    label = text(row, "activity_label", empty=True)
    endings = tuple(map(clean_hellaswag, texts(row, "endings")))
    gold = place(row, ("label",), len(endings))
    context = clean_hellaswag(f"{label}: {a} {b.capitalize()}")
    kind = str(row.get("source_id") or "").partition("~")[0]
    question = clean_hellaswag(f"{a} {b}")
    return Item((context,), endings, (gold,), kind, question=question, answer=endings[gold])


HELLASWAG = Benchmark("hellaswag", item, headline="acc_norm")
