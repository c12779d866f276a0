"""`textmill ledger`: of an artifact, of a run, of the newest; and exit code 1 where something does not add up.

Also covers: flows/cli/arguments.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.lake import Lake
from flows.comparing import runs as compare
from tests.flows.comparing.test_runs import record
from tests.lakes import commit
from tests.terminal import data, textmill


@pytest.fixture
def audited(home: Path) -> Lake:
    """A crawl of three pages, of which clean kept two and removed one."""
    lake = Lake(home / "lake")
    crawl = commit(lake, "crawl", ledger=Ledger(Amount(3, 30), Amount(3, 30)).to_dict())
    ledger = Ledger(Amount(3, 30), Amount(2, 11), {"too_short": Amount(1, 9)}, Amount(0, 10))
    commit(lake, "clean", upstream=(crawl,), ledger=ledger.to_dict(), hour=1)
    commit(lake, "tokenizer", hour=2)
    return lake


def test_the_newest_artifact_with_a_ledger_is_what_it_is_about(audited: Lake) -> None:
    shown = textmill("ledger")
    for words in ("crawl", "too_short", "33.3%", "rewritten", "66.7%"):
        assert words in shown
    found = data("ledger")
    assert found["of"] == audited.artifacts("clean")[0].name
    assert found["adds_up"] is True
    assert [stage["follows"] for stage in found["stages"]] == [None, "crawl"]
    assert data("ledger", "crawl")["stages"] == found["stages"][:1]


def test_a_pipeline_run_is_found_as_compare_finds_it(audited: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {artifact.stage: artifact.name for artifact in audited.artifacts()}
    runs = [record("ab12" + "0" * 28, "mine", artifacts={**names, "dedup": "dedup/0123456789abcdef"})]
    monkeypatch.setattr(compare, "pipeline_runs", lambda home: runs)
    for wanted in (["last"], ["ab12"], ["mine"], []):
        found = data("ledger", *wanted)
        assert found["of"] == "mine ab120000"
        assert found["not_in_the_lake"] == ["dedup/0123456789abcdef"]
        assert len(found["stages"]) == 2


def test_what_does_not_add_up_fails(audited: Lake) -> None:
    (clean,) = audited.artifacts("clean")
    broken = Ledger(Amount(5, 30), Amount(5, 30), {}).to_dict()
    dedup = commit(audited, "dedup", upstream=(clean,), ledger=broken, hour=3)
    assert f"{clean.name} kept 2 documents, but 5 came into {dedup.name}" in textmill("ledger", code=1)
    textmill("ledger", "clean")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("tokenizer", "No stage of tokenizer/"),
        ("crawl/zzzz", "The lake has no artifact"),
        ("nosuch", "no pipeline run yet; `textmill run demo` makes one. An artifact can be named too"),
    ],
)
def test_what_has_no_ledger(audited: Lake, wanted: str, words: str) -> None:
    assert words in textmill("ledger", wanted, code=2)


def test_an_empty_lake(home: Path) -> None:
    assert "no pipeline run yet" in textmill("ledger", code=2)
