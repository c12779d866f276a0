"""Pieces of text: cut where too many documents have them, in every script, and never more than that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import read_documents
from tasks.corpus.dedup import DedupConfig, dedup
from tasks.corpus.dedup.repeats import cut, piece_hashes, pieces

Given = Callable[..., Artifact]
NOTICE = "This site uses cookies to remember what you have read, and tells nobody else about it."
CHINESE = "本网站使用缓存来记住您读过的内容并且不会告诉任何其他人请放心阅读"


def unique(number: int, words: int = 30) -> str:
    return " ".join(f"own{number}word{k}" for k in range(words)) + "."


def build(lake: Lake, clean: Artifact, **config: object) -> tuple[Artifact, list[str]]:
    made = dedup.build(lake, DedupConfig(near=False, **config), {"documents": clean}).artifact
    assert dedup.violations(made) == []
    return made, [row["text"] for batch in read_documents(made.path) for row in batch.to_pylist()]


@given(st.text("ab \n\t中", max_size=60), st.sampled_from(["paragraphs", "lines"]))
def test_pieces_together_are_the_text(text: str, kind: str) -> None:
    found = pieces(text, kind)  # type: ignore[arg-type]
    assert "".join(found) == text
    assert all(found)


def test_what_counts_are_the_words() -> None:
    hashes = piece_hashes(["One, two: THREE!\n", "one  two three", "one two four", "one two"], 3, compiled=False)
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[3] == 0
    assert piece_hashes([NOTICE, CHINESE, ""], 3, compiled=True).tolist() == [
        *piece_hashes([NOTICE, CHINESE], 3, compiled=False).tolist(),
        0,
    ]


def test_a_cut_leaves_no_gap() -> None:
    text = f"First.\n\n{NOTICE}\n\nSecond.\n{NOTICE}\nThird.\n"
    value = set(piece_hashes([NOTICE], 3, compiled=False).tolist())
    assert (
        cut(text, {"paragraphs": value}, {"paragraphs": 3, "lines": 3}) == text.replace(f"{NOTICE}\n\n", "", 1).strip()
    )
    assert cut(text, {"lines": value}, {"paragraphs": 3, "lines": 3}) == "First.\n\nSecond.\nThird."
    assert cut(text, {"lines": {1}}, {"paragraphs": 3, "lines": 3}) == text


@pytest.mark.parametrize("notice", [NOTICE, CHINESE, "ข้อความนี้ปรากฏอยู่ในทุกหน้าของเว็บไซต์เพื่อแจ้งผู้อ่าน"])
@pytest.mark.parametrize("memory", [16, 1024])
def test_a_paragraph_stays_in_the_preferred_document(
    lake: Lake, given_documents: Given, notice: str, memory: int
) -> None:
    texts = [f"{unique(i, 30 + i)}\n\n{notice}\n\n{unique(100 + i)}" for i in range(5)]
    made, left = build(lake, given_documents(texts, shards=2), paragraphs={"enabled": True}, memory_megabytes=memory)
    assert left[:4] == [text.replace(f"{notice}\n\n", "") for text in texts[:4]]
    assert left[4] == texts[4]  # the longest
    ledger = made.manifest.ledger
    assert ledger is not None
    assert ledger["rewritten"] == {"documents": 0, "bytes": 4 * len(f"{notice}\n\n".encode()), "tokens": 0}
    assert made.counts["rewritten_documents"] == 4


@pytest.mark.parametrize(("copies", "with_it"), [(0, 0), (1, 1), (3, 3), (9, 5)])
def test_so_many_copies_of_a_line_stay(lake: Lake, given_documents: Given, copies: int, with_it: int) -> None:
    texts = [f"{unique(i)}\n{NOTICE}\n{unique(100 + i)}" for i in range(5)]
    lines = {"enabled": True, "copies": copies}
    _, left = build(lake, given_documents(texts, shards=3), lines=lines, min_left_words=0)
    assert sum(NOTICE in text for text in left) == with_it


def test_a_document_with_too_little_left_goes(lake: Lake, given_documents: Given) -> None:
    texts = [f"{unique(1)}\n{NOTICE}", f"short\n{NOTICE}", "short"]
    made, left = build(lake, given_documents(texts), lines={"enabled": True, "copies": 1})
    assert left == [texts[0], "short"]  # the last lost nothing
    (row,) = pq.read_table(made.path / "removed").to_pylist()
    assert (row["reason"], row["value"], row["threshold"]) == ("too_little_left", 1, 20)
    assert row["text"] == texts[1]
    assert made.counts["too_little_left"] == 1


def test_removed_documents_do_not_count(lake: Lake, given_documents: Given) -> None:
    text = f"{unique(1)}\n{NOTICE}"
    _, left = build(lake, given_documents([text, text, text]), lines={"enabled": True, "copies": 1})
    assert left == [text]


@pytest.mark.shared
def test_lines_that_are_not_unique_as_a_published_exercise_wants_it(
    lake: Lake, given_documents: Given, shared_data: Path
) -> None:
    """Stanford CS336, assignment 4: lines that occur more than once in the corpus go from every document."""
    folder = shared_data / "09_near_dup/stanford-cs336__assignment4-data/tests/fixtures"
    given_texts, wanted = (
        [path.read_text() for path in sorted((folder / name).iterdir())]
        for name in ("documents_with_line_duplicates", "documents_line_deduplicated")
    )
    lines = {"enabled": True, "copies": 0, "min_words": 1}
    _, left = build(lake, given_documents(given_texts), lines=lines, exact=False, min_left_words=0)
    assert sorted(text.strip() for text in left) == sorted(text.strip() for text in wanted if text.strip())
