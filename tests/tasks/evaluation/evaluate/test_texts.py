"""tasks/evaluation/evaluate/texts.py: perplexities are weighted by size, for all documents and for groups of them."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.evaluate import texts
from tasks.evaluation.evaluate.texts import by_group, documents_of, perplexities, write_documents
from tasks.synthetic.questions.files import HeldOut

DOCUMENTS = [
    HeldOut("1", None, "a.org", "de", "Über Brücken  gehen"),
    HeldOut("2", "http://b.org", "b.org", "en", "a text"),
    HeldOut("3", None, "b.org", None, "more"),
]
SCORES = [(-20.0, 8), (-6.0, 3), (-4.0, 1)]


def test_each_document_has_its_sizes() -> None:
    first, *_ = documents_of(DOCUMENTS, SCORES)
    assert {name: first[name] for name in ("nats", "tokens", "words", "characters", "bytes")} == {
        "nats": 20.0, "tokens": 8, "words": 3, "characters": 19, "bytes": 21,
    }  # fmt: skip


def test_perplexities_are_of_all_text_together() -> None:
    found = perplexities(documents_of(DOCUMENTS, SCORES))
    assert (found["documents"], found["bytes"]) == (3, 31)
    assert found["token_perplexity"] == pytest.approx(math.exp(30 / 12))
    assert found["word_perplexity"] == pytest.approx(math.exp(30 / 6))
    assert found["byte_perplexity"] == pytest.approx(math.exp(30 / 31))
    assert found["bits_per_byte"] == pytest.approx(30 / 31 / math.log(2))
    assert found["bits_per_character"] == pytest.approx(30 / 29 / math.log(2))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(min_size=1), st.floats(0.1, 99)), min_size=1, max_size=8))
def test_groups_are_parts_of_the_whole(given: list[tuple[str, str, float]]) -> None:
    documents = documents_of(
        [HeldOut("1", None, source, None, text) for source, text, _ in given], [(-nats, 1) for _, _, nats in given]
    )
    whole, groups = perplexities(documents), by_group(documents, "source")
    assert sum(one["bytes"] for one in groups.values()) == whole["bytes"]
    bits = sum(one["bits_per_byte"] * one["bytes"] for one in groups.values())
    assert bits == pytest.approx(whole["bits_per_byte"] * whole["bytes"])
    assert set(by_group(documents, "language")) == {"unknown"}


def test_the_largest_groups_come_first_and_small_ones_together(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = documents_of(DOCUMENTS, SCORES)
    assert list(by_group(documents, "language")) == ["de", "en", "unknown"]
    monkeypatch.setattr(texts, "MOST_GROUPS", 1)
    found = by_group(documents, "source")
    assert [(name, one["documents"]) for name, one in found.items()] == [("a.org", 1), ("(others)", 2)]


def test_what_is_written_can_be_compared(tmp_path: Path) -> None:
    documents = documents_of(DOCUMENTS, SCORES)
    write_documents(tmp_path / "per_document.parquet", documents)
    assert pq.read_table(tmp_path / "per_document.parquet").to_pylist() == documents
