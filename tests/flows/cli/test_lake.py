"""`textmill artifacts` and `show`: for people, and for programs with --json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_lake.store.lake import Lake
from tasks.stage.gains import paired
from tests.lakes import commit
from tests.terminal import data, textmill


def test_artifacts_newest_first(lake: Lake) -> None:
    found = data("artifacts")
    assert [a["stage"] for a in found] == ["dedup", "clean", "clean", "crawl"]
    assert found[0]["metrics"] == {"duplicate_share": pytest.approx(1 / 3), "unknown": None}
    assert [a["stage"] for a in data("artifacts", "clean")] == ["clean", "clean"]
    shown = textmill("artifacts")
    assert all(artifact["artifact"] in shown for artifact in found)
    assert "2 documents" in shown


def test_an_empty_lake_says_what_fills_it(home: Path) -> None:
    assert data("artifacts") == []
    assert textmill("artifacts") == ""
    assert "is empty" in textmill("show", "dedup", code=2)


def test_show_by_stage_key_and_prefix(lake: Lake) -> None:
    newest, older = lake.artifacts("clean")
    assert data("show", "clean")["key"] == newest.key
    assert data("show", older.name)["key"] == older.key
    assert data("show", older.key[:9])["key"] == older.key
    assert data("show", f"clean/{older.key[:9]}")["artifact"] == older.name
    assert "has no artifact" in textmill("show", "clean/zz", code=2)


def test_show_says_everything(lake: Lake) -> None:
    text = textmill("show", "clean")
    for word in (
        "min_words",
        "− too_short",
        "71",
        "documents/part-00000.parquet",
        "tasks.corpus.clean",
        "abc with changes",
    ):
        assert word in text
    found = data("show", "clean")
    assert found["damage"] is None
    assert found["ledger"]["removed"]["too_short"]["documents"] == 2


def test_show_says_what_a_stage_gave(lake: Lake) -> None:
    gain = paired("texts labelled rightly", "tf-idf", [0.0, 1.0] * 50, [1.0, 1.0, 1.0, 0.0] * 25)
    commit(lake, "classify", gain=gain)
    shown = " ".join(textmill("show", "classify").split())
    assert "texts labelled rightly, of 100 held-out items: 0.500 (tf-idf), 0.750 after this stage: +0.250" in shown
    assert data("show", "classify")["gain"]["reached"] == 0.75


def test_show_has_the_tables_of_an_artifact(lake: Lake) -> None:
    rows = [
        {"by": "all", "name": "", "tokens": 1200, "bytes_per_token": 3.5, "gpt2_bytes_per_token": None},
        {"by": "source", "name": "example.org", "tokens": 1200, "bytes_per_token": 3.5, "gpt2_bytes_per_token": 4.25},
    ]
    commit(lake, "tokenizer", texts={"bytes_per_token.json": json.dumps(rows)}, kind="Tokenizer")
    shown = textmill("show", "tokenizer")
    for word in ("bytes per token", "gpt2 bytes per token", "example.org", "1,200", "4.25", "–"):
        assert word in shown


def test_show_names_the_evaluations_of_the_other_models_and_the_pages(lake: Lake) -> None:
    made = {}
    for hour, name in enumerate(("pretrain", "sft")):
        of = {"model": commit(lake, name, texts={"model.json": name}, hour=hour)}
        made[name] = commit(lake, "evaluate", None, of, texts={"report.html": "<p>"}, kind="Evaluation", hour=hour,
                            metrics={"bits_per_byte": 1.5 - hour / 8})  # fmt: skip
    shown = "".join(textmill("show", "evaluate").split())
    for artifact in made.values():
        assert artifact.name in shown
        assert str(artifact.path / "report.html") in shown
    assert "bits_per_byte1.5" in shown
    assert made["sft"].name not in textmill("show", made["pretrain"].name)


def test_show_says_what_is_damaged(lake: Lake) -> None:
    dedup = lake.artifacts("dedup")[0]
    with (dedup.path / "duplicates.parquet").open("r+b") as file:
        file.write(b"X")
    assert "duplicates.parquet" in data("show", "dedup")["damage"]
    assert "DAMAGED" in textmill("show", "dedup")
