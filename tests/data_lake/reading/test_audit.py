"""The audit of a corpus: what one stage kept is what the next began with, or it says where something went missing."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from data_lake.reading.audit import audit_of, ledger_rows, lineage
from data_lake.reading.ledger import Amount, Ledger, Tally
from data_lake.store.lake import Artifact, Lake
from tests.lakes import commit, documents


def kept(documents: int, n_bytes: int, tokens: int = 0, counts: str = "documents", lost: int = 0) -> dict:
    """A ledger that kept so much, after `lost` documents of 5 bytes were removed for "too_short"."""
    amount, away = Amount(documents, n_bytes, tokens), Amount(lost, 5 * lost)
    return Ledger(amount + away, amount, {"too_short": away}, counts=counts).to_dict()


def pipeline(lake: Lake, clean: dict, tokenize: dict) -> list[Artifact]:
    """crawl → clean → tokenizer (no ledger) → tokenize → sft (which counts pairs)."""
    crawl = commit(lake, "crawl", ledger=kept(4, 40))
    cleaned = commit(lake, "clean", upstream=(crawl,), ledger=clean)
    tokenizer = commit(lake, "tokenizer", upstream=(cleaned,))
    tokens = commit(lake, "tokenize", upstream=(cleaned, tokenizer), ledger=tokenize)
    sft = commit(lake, "sft", upstream=(cleaned, tokens), ledger=kept(9, 90, counts="instruction pairs"))
    return [crawl, cleaned, tokenizer, tokens, sft]


def test_stages_that_hand_over_everything_add_up(tmp_path: Path) -> None:
    audit = audit_of(pipeline(Lake(tmp_path), kept(3, 35, lost=1), kept(3, 35, tokens=11)))
    assert audit.problems == []
    assert [(stage.stage, stage.follows) for stage in audit.stages] == [
        ("crawl", None),
        ("clean", "crawl"),
        ("tokenize", "clean"),
        ("sft", None),
    ]
    assert list(audit.ledgers()) == ["crawl", "clean", "tokenize"]
    removal = next(row for row in audit.rows() if row.entry == "removed")
    assert (removal.stage, removal.label, removal.documents, removal.bytes) == ("clean", "− too_short", 1, 5)
    assert {row.tokens for row in audit.rows() if row.stage == "clean"} == {None}
    assert audit.to_json()["adds_up"] is True


def test_what_went_missing_between_two_stages_is_named_to_the_last_byte(tmp_path: Path) -> None:
    audit = audit_of(pipeline(Lake(tmp_path), kept(3, 34, lost=1), kept(2, 34, tokens=11)))
    gap_of_bytes, gap_of_documents = audit.problems
    assert "kept 40 bytes, but 39 came into clean/" in gap_of_bytes
    assert "kept 3 documents, but 2 came into tokenize/" in gap_of_documents
    assert "(difference -1)" in gap_of_documents


def test_a_ledger_that_does_not_add_up_by_itself_is_a_problem_of_its_stage(tmp_path: Path) -> None:
    wrong = Ledger(Amount(4, 40), Amount(3, 40)).to_dict()
    audit = audit_of(pipeline(Lake(tmp_path), wrong, kept(3, 40)))
    assert [bool(stage.problems) for stage in audit.stages] == [False, True, False, False]


def test_a_stage_follows_what_it_read_or_what_says_the_same(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    read = commit(lake, "crawl", ledger=kept(4, 40))
    same = commit(lake, "crawl", config={"again": 1}, ledger=kept(4, 44))
    other = commit(lake, "crawl", {"pages.parquet": documents("x")}, config={"pages": 9}, ledger=kept(9, 90))
    clean = commit(lake, "clean", upstream=(read,), ledger=kept(4, 40))
    assert audit_of([other, clean]).stages[1].follows is None
    for crawl in (read, same):
        audit = audit_of([crawl, clean])
        assert audit.stages[1].follows == "crawl"
        assert audit.problems == []


def test_lineage_is_in_reading_order_and_names_what_is_gone(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    made = pipeline(lake, kept(4, 40), kept(4, 40))
    found, gone = lineage(lake, [made[-1]])
    assert [artifact.stage for artifact in found] == ["crawl", "clean", "tokenizer", "tokenize", "sft"]
    assert gone == []
    (made[0].path / "manifest.json").unlink()
    found, gone = lineage(lake, [made[-1]])
    assert [artifact.stage for artifact in found] == ["clean", "tokenizer", "tokenize", "sft"]
    assert gone == [made[0].name]


@given(st.lists(st.tuples(st.sampled_from(["kept", "too_short", "robots"]), st.integers(0, 99), st.integers(0, 99))))
def test_the_rows_of_a_ledger_are_all_of_it(events: list[tuple[str, int, int]]) -> None:
    tally = Tally()
    for what, size, written in events:
        tally.keep(size, written=written) if what == "kept" else tally.remove(what, size)
    rows = list(ledger_rows("clean", tally.ledger()))
    out = [row for row in rows if row.entry != "came in"]
    assert rows[0].documents == sum(row.documents for row in out) == len(events)
    assert rows[0].bytes == sum(row.bytes for row in out)
