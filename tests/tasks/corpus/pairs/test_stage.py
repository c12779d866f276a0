"""tasks/corpus/pairs: each row is learned from, held out, or has a reason; no source is on both sides.

Also covers: tasks/corpus/pairs/config.py
Also covers: tasks/corpus/pairs/preflight.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from data_lake.store.lake import Lake
from tasks.corpus.pairs import PairsConfig, pairs
from tasks.corpus.pairs.stage import BROKEN
from tasks.corpus.splits import documents_of, word_key
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def numbers(count: int) -> list[dict[str, str]]:
    return [{"source": f"number {n}", "target": f"n{n}"} for n in range(count)]


def test_every_row_is_accounted_for(lake: Lake, tmp_path: Path) -> None:
    rows = [*numbers(60), *numbers(5), {"source": "same", "target": "same"}, {"source": "a", "target": ""}, 7]
    path = written(tmp_path / "a.jsonl", rows)
    made = pairs.build(lake, PairsConfig(data=(str(path),), validation=0.2), {}).artifact
    ledger = made.manifest.ledger
    assert ledger is not None
    assert (ledger["incoming"]["documents"], ledger["kept"]["documents"]) == (68, 60)
    removed = {reason: amount["documents"] for reason, amount in ledger["removed"].items()}
    assert removed == {"exact duplicate": 5, "identical texts": 1, BROKEN: 2}
    assert made.counts["pairs"] + made.counts["validation_pairs"] == 60
    rejected = [json.loads(line) for line in (made.path / "rejected.jsonl").read_text().splitlines()]
    reasons = {row["place"]: row["reason"] for row in rejected}
    assert len(reasons) == made.counts["rejected"] == 8
    assert reasons["a.jsonl#67"] == "target is empty"
    assert reasons["a.jsonl#61"] == "the same as a.jsonl#1"
    table = pq.read_table(made.path / "pairs.parquet").to_pylist()
    assert {(row["source"], row["target"]) for row in table} == {(row["source"], row["target"]) for row in rows[:60]}


def test_no_source_is_on_both_sides(tmp_path: Path) -> None:
    rows = [
        {"source": text, "target": f"{n} {text}"}
        for n in range(80)
        for text in (f"Is it {n}?", f"is it {n}", f"“Is it {n}?”")
    ]
    out = local_output(tmp_path / "out")
    pairs(PairsConfig(data=(str(written(tmp_path / "a.jsonl", rows)),), validation=0.3), out)
    table = pq.read_table(out.dir / "pairs.parquet").to_pylist()
    sides = [{word_key(row["source"]) for row in table if row["split"] == split} for split in ("train", "val")]
    assert not sides[0] & sides[1]
    assert all(sides)


def test_a_tokenizer_is_learned_from_the_training_pairs_alone(lake: Lake, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", numbers(50))
    made = pairs.build(lake, PairsConfig(data=(str(path),), validation=0.3), {}).artifact
    learned = tokenizer.build(lake, TokenizerConfig(vocab_size=320), {"corpus": made}).artifact
    texts = [document.text for document in documents_of(made.path, {"train"})]
    assert learned.counts["trained_on_bytes"] == sum(len(text.encode()) for text in texts)
    assert len(texts) == 2 * made.counts["pairs"]


@pytest.mark.parametrize("count", [2, 3])
def test_of_few_pairs_one_is_held_out(tmp_path: Path, count: int) -> None:
    for validation in (0.001, 0.999):
        out = local_output(tmp_path / f"{validation}")
        pairs(PairsConfig(data=(str(written(tmp_path / "a.jsonl", numbers(count))),), validation=validation), out)
        assert out.counts["pairs"] > 0
        assert out.counts["validation_pairs"] > 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no pair can be used"),
        (numbers(1), "only one pair can be used"),
        ([{"source": "a", "target": "a"}] * 3, r"no pair can be used.*identical texts: source and target are the same"),
        ([{"id": 1, "x": "a", "y": "b"}], r"its columns are id, x, y; name two of them"),
        ([{"source": "A", "target": str(n)} for n in range(9)], "have the same source, 'A'"),
    ],
)
def test_nothing_to_learn_is_a_sentence(tmp_path: Path, rows: list[Any], said: str) -> None:
    config = PairsConfig(data=(str(written(tmp_path / "a.jsonl", rows)),))
    with pytest.raises(PermanentError, match=said):
        pairs(config, local_output(tmp_path / "out"))


def test_more_than_max_pairs_are_counted_and_the_same_ones_stay(tmp_path: Path) -> None:
    kept = []
    for name, rows in (("a", numbers(40)), ("b", numbers(40)[::-1])):
        out = local_output(tmp_path / name)
        path = written(tmp_path / f"{name}.jsonl", rows)
        pairs(PairsConfig(data=(str(path),), validation=0.1, max_pairs=10), out)
        assert out.counts["pairs"] == 10
        assert out.accounts is not None
        assert list(out.accounts.problems()) == []
        kept.append({row["source"] for row in pq.read_table(out.dir / "pairs.parquet").to_pylist()})
    assert kept[0] == kept[1]


def test_identical_texts_are_kept_on_request(tmp_path: Path) -> None:
    out = local_output(tmp_path / "out")
    rows = [{"source": f"s{n}", "target": f"s{n}"} for n in range(9)]
    pairs(PairsConfig(data=(str(written(tmp_path / "a.jsonl", rows)),), keep_identical=True), out)
    assert out.counts["pairs"] + out.counts["validation_pairs"] == 9


def test_an_edited_file_is_other_pairs_and_a_moved_one_is_not(tmp_path: Path) -> None:
    assert pairs.sources is not None
    path = written(tmp_path / "a.jsonl", numbers(3))
    before = pairs.sources(PairsConfig(data=(str(path),)))
    (tmp_path / "sub").mkdir()
    assert pairs.sources(PairsConfig(data=(str(path.rename(tmp_path / "sub" / "a.jsonl")),))) == before
    edited = written(tmp_path / "a.jsonl", numbers(4))
    assert pairs.sources(PairsConfig(data=(str(edited),))) != before


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, "no file matches"),
        ([], "no row that can be used, it is empty"),
        ([{"id": 1, "x": "a", "y": "b"}], r"the first, a.jsonl#1: its columns are id, x, y; name two"),
    ],
)
def test_the_plan_says_it_before(lake: Lake, tmp_path: Path, rows: list[Any] | None, said: str) -> None:
    path = tmp_path / "a.jsonl"
    if rows is not None:
        written(path, rows)
    (fault,) = pairs.faults(PairsConfig(data=(str(path),)), Facts({}, lake))
    assert fault.field == "pairs.data"
    assert re.search(said, fault.reason)


def test_the_plan_asks_for_files_and_finds_none_wrong(lake: Lake, tmp_path: Path) -> None:
    (fault,) = pairs.faults(PairsConfig(), Facts({}, lake))
    assert "pairs.data names no file" in fault.reason
    assert pairs.faults(PairsConfig(data=(str(written(tmp_path / "a.jsonl", numbers(2))),)), Facts({}, lake)) == []


def test_the_columns_are_named_together() -> None:
    with pytest.raises(ValidationError, match="name the columns of both"):
        PairsConfig(source="en")
    with pytest.raises(ValidationError, match="the same column"):
        PairsConfig(source="en", target="en")
