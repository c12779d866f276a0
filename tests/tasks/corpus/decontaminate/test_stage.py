"""tasks/corpus/decontaminate: what was planted is found, cut or dropped, accounted for, and a report changes nothing.

Also covers: tasks/corpus/decontaminate/report.py
Also covers: tasks/corpus/decontaminate/rewrite.py
Also covers: tasks/corpus/decontaminate/scan.py
Also covers: tasks/stage/kinds.py
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from data_lake.tables import schemas
from data_lake.tables.documents import doc_id, read_documents, shards, split_of
from tasks.benchmarks import BenchmarksConfig, benchmarks
from tasks.corpus.decontaminate import DecontaminateConfig, decontaminate
from tasks.corpus.splits import SplitConfig
from tasks.stage import Output, PermanentError, local_output

Given = Callable[..., Artifact]
SPLIT = SplitConfig(val=0.2, test=0.2)
ITEMS = [
    "The miller of the old stone house opened the sluice gate before dawn and went back to sleep until noon.",
    "Which of these turns a water wheel",
    "水车转动，河水流过老石屋，磨坊主人在门口等着客人到来，太阳慢慢下山了。",
]


def prose(number: int, words: int = 300) -> str:
    dice = random.Random(number)
    letters = "abcdefghijklmnop"
    return " ".join("".join(dice.choices(letters, k=dice.randrange(3, 9))) for _ in range(words))


def splits(count: int) -> dict[str, list[int]]:
    """The numbers of the documents in each split, as `given_documents` names them."""
    found: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for number in range(count):
        found[split_of(doc_id(url=f"http://example.org/{number}"), SPLIT.val, SPLIT.test)].append(number)
    return found


@pytest.fixture
def benchmark(tmp_path: Path) -> str:
    path = tmp_path / "riddles.jsonl"
    rows = [{"question": ITEMS[0]}, {"question": ITEMS[1], "answer": "the river"}, {"question": ITEMS[2]}]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    return str(path)


def build(lake: Lake, documents: Artifact, **config: Any) -> Artifact:
    settings = DecontaminateConfig(**{"split": SPLIT, "workers": 1, **config})
    return decontaminate.build(lake, settings, {"documents": documents}).artifact


def table(artifact: Artifact, name: str) -> list[dict[str, Any]]:
    return pq.read_table(artifact.path / f"{name}.parquet").to_pylist()


def texts(artifact: Artifact) -> dict[str, str]:
    return {
        row["doc_id"]: row["text"] for b in read_documents(artifact.path, ["doc_id", "text"]) for row in b.to_pylist()
    }


def planted(count: int = 40) -> tuple[list[str], dict[str, list[int]]]:
    """Documents of which three training ones and one held-out one have an item in their middle."""
    documents = [prose(number) for number in range(count)]
    places = splits(count)
    for number, item in zip([*places["train"][:3], places["test"][0]], [*ITEMS, ITEMS[0]], strict=True):
        item = "which of THESE turns a water-wheel? The river!" if item == ITEMS[1] else item
        documents[number] = f"{documents[number][:1000]} {item} {documents[number][1000:]}"
    return documents, places


@pytest.mark.parametrize(
    ("item", "page"),
    [
        (
            "Who's the miller that doesn't grind on Sunday, can't swim, won't sing and isn't married?",
            "Who’s the miller that doesn’t grind on Sunday, can’t swim, won’t sing and isn’t married",
        ),
        (
            "Müller mahlen täglich schöne Körner über dem Fluß, während Räder gegenüber der Brücke ächzen.",
            "Mu\u0308ller mahlen ta\u0308glich SCHÖNE Ko\u0308rner u\u0308ber dem FLUSS, wa\u0308hrend "
            "Ra\u0308der gegenu\u0308ber der Bru\u0308cke a\u0308chzen",
        ),
        (
            "How many buckets of the wheel pass halfway when the fine flour flows and 12 turn?",
            "How many buck\u00adets of the wheel pass half\u200bway when the ﬁne ﬂour ﬂows and １２ turn",
        ),
        ("กังหันน้ำหมุนอยู่ริมแม่น้ำมาสามร้อยปี", "กังหันน้\u0e4d\u0e32หมุนอยู่ริมแม่น้\u0e4d\u0e32มาสามร้อยปี"),
        ("ガギグの水車が川のそばで三百年回った", "\uff76\uff9eギグの水車か\u3099川のそばで三百年回った"),
    ],
)  # fmt: skip
def test_an_item_typed_in_another_way_is_found_and_exactly_that_is_cut(
    lake: Lake, given_documents: Given, tmp_path: Path, item: str, page: str
) -> None:
    (tmp_path / "b.txt").write_text(item)
    number = splits(5)["train"][0]
    documents = [prose(n) for n in range(5)]
    before, after = f"It’s ﬁne:  «{prose(90)[:300]}» … ", f" … isn’t it, Mu\u0308ller?  {prose(91)[:300]}"
    documents[number] = f"{before}{page}{after}"
    made = build(lake, given_documents(documents), benchmarks=(str(tmp_path / "b.txt"),), cut={"window": 0})
    (row,) = table(made, "contamination")
    assert row["text"] == page
    assert texts(made)[row["doc_id"]] == f"{before}\n\n{after}"


def test_planted_items_are_found_and_cut_as_gpt3_did(lake: Lake, given_documents: Given, benchmark: str) -> None:
    documents, places = planted()
    source = given_documents(documents, shards=3)
    made = build(lake, source, benchmarks=(benchmark,))
    rows = {row["doc_id"]: row for row in table(made, "contamination")}
    ids = [doc_id(url=f"http://example.org/{number}") for number in range(len(documents))]
    assert set(rows) == {ids[number] for number in [*places["train"][:3], places["test"][0]]}
    first = rows[ids[places["train"][0]]]
    assert (first["benchmark"], first["item"], first["split"], first["action"]) == ("riddles", "1", "train", "cut")
    assert first["text"] == ITEMS[0].rstrip(".")
    assert first["words"] == len(ITEMS[0].split())
    assert first["fraction"] == 1.0
    assert rows[ids[places["train"][1]]]["words"] == 9
    assert rows[ids[places["train"][2]]]["text"] in ITEMS[2]
    assert rows[ids[places["test"][0]]]["action"] == "reported"

    after = texts(made)
    assert set(after) == set(ids)
    for number, text in enumerate(documents):
        if number in places["train"][:3]:
            at = text.index(rows[ids[number]]["text"])
            end = at + len(rows[ids[number]]["text"])
            assert after[ids[number]] == f"{text[: at - 200]}\n\n{text[end + 200 :]}"
        else:
            assert after[ids[number]] == text
    items = table(made, "items")
    assert [row["contaminated"] for row in items] == [True] * 3
    (line,) = json.loads((made.path / "benchmarks.json").read_text())
    assert (line["items"], line["contaminated"], line["documents"]) == (3, 3, 4)
    assert made.counts["cut_documents"] == 3
    ledger = made.manifest.ledger
    assert ledger is not None
    assert ledger["rewritten"]["bytes"] == sum(len(t.encode()) for t in documents) - made.counts["bytes"] > 0


def official(lake: Lake, folder: Path, goals: list[str]) -> Artifact:
    """The artifact of a benchmark with these questions."""
    rows = [{"goal": goal, "sol1": "the river", "sol2": "the sea", "label": 0} for goal in goals]
    path = folder / "valid.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    config = BenchmarksConfig.model_validate({"files": {"piqa": {"path": str(path)}}})
    return benchmarks.build(lake, config, {}).artifact


def test_the_official_benchmarks_of_a_recipe_are_cut_too(lake: Lake, given_documents: Given, tmp_path: Path) -> None:
    pages, places = planted()
    documents = given_documents(pages, split=SPLIT)
    config = DecontaminateConfig(split=SPLIT, workers=1)
    without = decontaminate.build(lake, config, {"documents": documents}).artifact
    inputs = {"documents": documents, "benchmarks": official(lake, tmp_path, ITEMS)}
    made = decontaminate.build(lake, config, inputs).artifact
    assert made.key != without.key
    assert {row["benchmark"] for row in table(made, "contamination")} == {"piqa"}
    changed = {name for name, text in texts(made).items() if text != texts(without)[name]}
    assert changed == {doc_id(url=f"http://example.org/{number}") for number in places["train"][:3]}
    assert made.counts["items_rows"] == 3


def test_with_other_benchmarks_nothing_is_taken_from_an_earlier_artifact(
    lake: Lake, given_documents: Given, tmp_path: Path
) -> None:
    pages, _ = planted()
    documents = given_documents(pages, split=SPLIT)
    config = DecontaminateConfig(split=SPLIT, workers=1)
    first = official(lake, tmp_path, ["A question that no page has, however often it is asked of all of them today"])
    found = decontaminate.build(lake, config, {"documents": documents, "benchmarks": first}).artifact
    assert not table(found, "contamination")
    second = official(lake, tmp_path, ITEMS)
    found = decontaminate.build(lake, config, {"documents": documents, "benchmarks": second}).artifact
    assert table(found, "contamination")
    assert found.metrics["documents_reused"] == 0


def test_what_was_cut_is_found_no_more(lake: Lake, given_documents: Given, benchmark: str) -> None:
    documents, _ = planted()
    made = build(lake, given_documents(documents), benchmarks=(benchmark,))
    again = build(lake, made, benchmarks=(benchmark,))
    assert again.counts["contaminated_items"] == 0
    assert again.content == made.content


def test_drop_removes_documents_with_their_reason(lake: Lake, given_documents: Given, benchmark: str) -> None:
    documents, places = planted()
    made = build(lake, given_documents(documents, shards=2), benchmarks=(benchmark,), action="drop")
    removed = [row for b in read_documents(made.path, folder="removed") for row in b.to_pylist()]
    assert {row["url"] for row in removed} == {f"http://example.org/{number}" for number in places["train"][:3]}
    assert {row["reason"] for row in removed} == {"contaminated"}
    assert removed[0]["detail"].startswith("riddles ")
    assert made.counts["documents"] == len(documents) - 3


def test_a_report_rebuilds_nothing_after_it(lake: Lake, given_documents: Given, benchmark: str) -> None:
    documents, _ = planted()
    source = given_documents(documents, shards=2)
    without = build(lake, source)
    reported = build(lake, source, benchmarks=(benchmark,), action="report")
    assert reported.counts["contaminated_items"] == 3
    assert reported.key != without.key
    assert reported.content == without.content
    assert {row["action"] for row in table(reported, "contamination")} == {"reported"}
    assert build(lake, source, benchmarks=(benchmark,)).content != without.content


def test_every_document_says_which_split_its_id_is_in(lake: Lake, given_documents: Given, benchmark: str) -> None:
    """Cut or untouched, all that stay have the column; and only a split that moves a document is new content."""
    documents, places = planted()
    documents[places["val"][0]] = documents[places["train"][3]][100:1200]
    source = given_documents(documents, shards=3)
    made = build(lake, source, benchmarks=(benchmark,))
    found = {row["doc_id"]: row["split"] for b in read_documents(made.path) for row in b.to_pylist()}
    assert found == {name: split_of(name, SPLIT.val, SPLIT.test) for name in found}
    assert (made.counts["cut_documents"], made.counts["removed"], len(found)) == (3, 1, 39)
    assert [made.counts[f"{split}_documents"] for split in ("train", "val", "test")] == [
        len(places["train"]), len(places["val"]) - 1, len(places["test"])
    ]  # fmt: skip
    for path in shards(made.path / "documents"):
        assert pq.read_schema(path).equals(schemas.CORPUS)
    assert build(lake, source, benchmarks=(benchmark,), split=SplitConfig(val=0.2, test=0.1)).content != made.content
    nobody_moves = SplitConfig(val=0.2, test=0.2 + 1e-9)
    assert build(lake, source, benchmarks=(benchmark,), split=nobody_moves).content == made.content


def test_a_corpus_whose_splits_are_not_as_counted_is_no_hit(lake: Lake, given_documents: Given) -> None:
    made = build(lake, given_documents([prose(number) for number in range(20)]))
    path = shards(made.path / "documents")[0]
    whole = pq.read_table(path)
    for wrong, words in (("train", "in val, but the stage counted"), ("held out", "the split 'held out'")):
        column = pa.array([wrong if split == "val" else split for split in whole["split"].to_pylist()])
        pq.write_table(whole.set_column(whole.schema.get_field_index("split"), "split", column), path)
        assert words in " ".join(decontaminate.violations(made))
    pq.write_table(whole.drop_columns(["split"]), path)
    assert decontaminate.violations(made)


def test_common_phrases_are_ignored(lake: Lake, given_documents: Given, benchmark: str) -> None:
    documents = [f"{prose(number)} {ITEMS[0]}" for number in range(40)]
    source = given_documents(documents)
    assert build(lake, source, benchmarks=(benchmark,)).counts["contaminated_items"] == 0
    made = build(lake, source, benchmarks=(benchmark,), detection={"max_documents": 0})
    assert made.counts["contaminated_items"] == 1
    assert made.counts["cut_documents"] == len(splits(40)["train"])


def test_a_share_can_be_asked_for(lake: Lake, given_documents: Given, benchmark: str) -> None:
    documents = [prose(number) for number in range(40)]
    train = splits(40)["train"]
    documents[train[0]] += " " + " ".join(ITEMS[0].split()[:13])
    source = given_documents(documents)
    assert build(lake, source, benchmarks=(benchmark,)).counts["contaminated_items"] == 1
    strict = build(lake, source, benchmarks=(benchmark,), detection={"min_share": 0.5})
    assert strict.counts["contaminated_items"] == 0
    assert strict.counts["contamination_rows"] == 0
    assert table(strict, "items")[0]["found"] == 1


def test_held_out_documents_that_stand_in_training_go(lake: Lake, given_documents: Given) -> None:
    documents = [prose(number) for number in range(40)]
    places = splits(40)
    copied, half, short = places["val"][0], places["test"][0], places["test"][1]
    documents[copied] = documents[places["train"][0]][100:1200]
    documents[half] = documents[places["train"][1]][:900] + prose(99, 140)
    documents[short] = "a few words only"
    source = given_documents(documents, shards=3)
    made = build(lake, source)
    shares = {row["url"]: row for row in table(made, "overlap")}
    assert len(shares) == len(places["val"]) + len(places["test"])
    assert shares[f"http://example.org/{copied}"]["share"] > 0.9
    assert 0.3 < shares[f"http://example.org/{half}"]["share"] < 0.7
    assert shares[f"http://example.org/{short}"]["share"] is None
    assert [url for url, row in shares.items() if row["overlaps"]] == [f"http://example.org/{copied}"]
    removed = [row for b in read_documents(made.path, folder="removed") for row in b.to_pylist()]
    assert [(row["url"], row["reason"]) for row in removed] == [(f"http://example.org/{copied}", "stands_in_training")]

    kept = build(lake, source, overlap={"action": "report"})
    assert kept.counts["overlapping_documents"] == 1
    assert kept.counts["removed"] == 0
    sampled = build(lake, source, overlap={"max_ngrams": 400})
    assert [row["overlaps"] for row in table(sampled, "overlap")] == [row["overlaps"] for row in table(made, "overlap")]


def test_same_bytes_whatever_the_workers_and_done_shards_stay(
    given_documents: Given, benchmark: str, tmp_path: Path
) -> None:
    documents, places = planted()
    documents[places["val"][0]] = documents[places["train"][3]]
    source = given_documents(documents, shards=3)
    one, two = local_output(tmp_path / "one"), local_output(tmp_path / "two")
    for out, workers in ((one, 1), (two, 2)):
        config = DecontaminateConfig(split=SPLIT, benchmarks=(benchmark,), workers=workers)
        decontaminate(config, out, documents=source)
    assert contents(one) == contents(two)

    scanned = two.dir / "scan" / "hits" / "part-00000.parquet"
    before = scanned.stat().st_mtime_ns
    (two.dir / "scan" / "hits" / "part-00001.parquet").unlink()  # as if killed before shard 1 was scanned
    for folder in ("documents", "removed"):
        (two.dir / folder / "part-00002.parquet").write_bytes(b"half a fi")
    (two.work / "contamination" / "part-00002.parquet").unlink()
    decontaminate(DecontaminateConfig(split=SPLIT, benchmarks=(benchmark,)), two, documents=source)
    assert contents(one) == contents(two)
    assert scanned.stat().st_mtime_ns == before


def contents(out: Output) -> dict[str, bytes]:
    files = (path for path in out.dir.rglob("*") if path.is_file() and out.work not in path.parents)
    return {path.relative_to(out.dir).as_posix(): path.read_bytes() for path in files}


def test_nothing_to_look_for_and_nothing_held_out_changes_nothing(lake: Lake, given_documents: Given) -> None:
    documents = [prose(number) for number in range(5)]
    source = given_documents(documents, shards=7)  # some of them empty
    made = build(lake, source, split=SplitConfig(val=0, test=0))
    assert made.counts["documents"] == 5
    assert made.counts["contamination_rows"] == made.counts["overlap_rows"] == 0
    assert made.metrics["contaminated_fraction"] is None


def test_a_lost_shard_breaks_the_contract(lake: Lake, given_documents: Given, benchmark: str) -> None:
    made = build(lake, given_documents(planted()[0], shards=2), benchmarks=(benchmark,))
    assert decontaminate.violations(made) == []
    (made.path / "documents" / "part-00001.parquet").unlink()
    assert any("documents/ has" in problem for problem in decontaminate.violations(made))


def test_an_edited_benchmark_is_another_key(benchmark: str, tmp_path: Path) -> None:
    assert decontaminate.sources is not None
    config = DecontaminateConfig(benchmarks=(benchmark,))
    before = decontaminate.sources(config)
    Path(benchmark).write_text(json.dumps({"question": "another one"}))
    assert decontaminate.sources(config) != before
    assert decontaminate.sources(DecontaminateConfig()) is None
    with pytest.raises(PermanentError, match="no file matches"):
        decontaminate.sources(DecontaminateConfig(benchmarks=(str(tmp_path / "none*"),)))
