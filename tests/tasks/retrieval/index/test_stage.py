"""index: every passage is accounted for, is found in its own script, and says where it comes from.

Also covers: tasks/retrieval/index/bm25.py
Also covers: tasks/retrieval/index/config.py
Also covers: tasks/retrieval/index/measures.py
Also covers: tasks/retrieval/index/search.py
Also covers: tasks/retrieval/index/shards.py
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_lake.reading.ledger import Ledger
from data_lake.store.lake import Artifact, Lake
from tasks.retrieval.index import IndexConfig, index
from tasks.retrieval.index import stage as subject
from tasks.retrieval.index.search import Search
from tasks.stage import local_output
from tests.tasks.pydoc_corpus import PagesConfig, decontaminate
from tests.tasks.retrieval.lakes import PAGES, TextsConfig
from tests.tasks.retrieval.lakes import decontaminate as texts

CONFIG = IndexConfig(passage_words=12, workers=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Artifact, Artifact]:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    corpus = texts.build(lake, TextsConfig(), {}).artifact
    return lake, corpus, index.build(lake, CONFIG, {"corpus": corpus}).artifact


def titles(search: Search, question: str) -> list[str]:
    return [str(one.title).removeprefix("About: ") for one in search.find(question, 3)]


def test_every_passage_is_indexed_or_left_out_with_its_reason(made: tuple[Lake, Artifact, Artifact]) -> None:
    _, _, artifact = made
    assert artifact.manifest.ledger is not None
    ledger = Ledger.from_dict(artifact.manifest.ledger)
    assert ledger.counts == "passages"
    assert ledger.incoming.bytes == sum(len(text.encode()) for text in PAGES.values())
    assert {reason: amount.documents for reason, amount in ledger.removed.items()} == {"repeated": 1, "no_words": 1}
    assert ledger.kept.documents == artifact.counts["passages"]
    removed = [row for part in (artifact.path / "removed").iterdir() for row in pq.read_table(part).to_pylist()]
    assert {(row["reason"], row["text"]) for row in removed} == {
        ("repeated", PAGES["copy"]), ("no_words", PAGES["empty"]),
    }  # fmt: skip
    assert "hit_1" in artifact.metrics
    assert artifact.metrics["hit_1"] is None, "no question can be made from these pages"


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Why does the wheel turn? What pushes the paddles of the river wheel?", "mill"),
        ("Is sourdough bread baked with YEAST?", "bread"),
        ("水車は何で回る？", "水車"),
        ("穀物を挽く", "水車"),
        ("กังหันน้ำหมุนอย่างไร", "กังหัน"),
        ("hobgoblins", "odd"),
    ],
)
def test_questions_find_their_page(made: tuple[Lake, Artifact, Artifact], question: str, first: str) -> None:
    assert titles(Search(made[2].path), question)[0] == first


@pytest.mark.parametrize("question", ["What does photosynthesis do?", "", "?!", "鉄道の歴史", "a" * 70_000])
def test_a_question_about_something_else_finds_nothing(made: tuple[Lake, Artifact, Artifact], question: str) -> None:
    assert titles(Search(made[2].path), question) == []


def test_a_passage_says_where_it_comes_from(made: tuple[Lake, Artifact, Artifact]) -> None:
    found = Search(made[2].path).find("Why does the river push the paddles of the wheel?", 1)[0]
    assert (found.url, found.date, found.fetched_at) == (
        "http://example.org/mill", "2024-05", "2026-01-02T00:00:00+00:00",
    )  # fmt: skip
    assert PAGES["mill"][found.start : found.end] == found.text
    assert found.text.startswith("The wheel")


def test_an_index_answers_the_same_wherever_it_is_built_and_is_not_changed_by_reading(
    made: tuple[Lake, Artifact, Artifact], tmp_path: Path
) -> None:
    lake, corpus, artifact = made
    before = {path.name: path.stat().st_mtime_ns for path in (artifact.path / "bm25").iterdir()}
    other = index.build(
        Lake(tmp_path / "lake"), CONFIG, {"corpus": texts.build(lake, TextsConfig(shards=1), {}).artifact}
    )
    assert other.artifact.content == artifact.content
    for question in ("river wheel", "水車", "bread of flour and grain"):
        assert Search(other.artifact.path).find(question, 5) == Search(artifact.path).find(question, 5)
    assert {path.name: path.stat().st_mtime_ns for path in (artifact.path / "bm25").iterdir()} == before
    assert not isinstance(lake.lookup("index", artifact.key, deep=True), str)
    assert index.build(lake, CONFIG, {"corpus": corpus}).status == "cached"


def test_a_build_that_was_killed_goes_on(
    made: tuple[Lake, Artifact, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, corpus, artifact = made
    cut = subject.cut_shard
    done: list[int] = []

    def some(job: subject.CutJob) -> None:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(job.number)
        cut(job)

    monkeypatch.setattr(subject, "cut_shard", some)
    with pytest.raises(KeyboardInterrupt):
        index(CONFIG, local_output(tmp_path), corpus=corpus)
    monkeypatch.setattr(subject, "cut_shard", lambda job: (done.append(job.number), cut(job)))
    (tmp_path / "bm25").mkdir()
    (tmp_path / "bm25" / "meta.json").write_text("half")
    index(CONFIG, local_output(tmp_path), corpus=corpus)
    assert done == [0, 1], "the first shard is not cut again"
    shutil.rmtree(tmp_path / ".work", ignore_errors=True)
    assert subject.content(tmp_path) == artifact.content


def test_questions_about_held_out_pages_measure_the_index(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    corpus = decontaminate.build(lake, PagesConfig(count=20), {}).artifact
    artifact = index.build(lake, IndexConfig(passage_words=30, measured=10, workers=1), {"corpus": corpus}).artifact
    rows = pq.read_table(artifact.path / "questions.parquet").to_pylist()
    assert len(rows) == artifact.counts["questions"] == 10
    held_out = {
        one["doc_id"] for one in pq.read_table(corpus.path / "documents").to_pylist() if one["split"] != "train"
    }
    search = Search(artifact.path)
    for row in rows:
        name = row["question"].split("`")[1].rpartition(".")[2]
        assert row["answers"][1:] == [
            f"{name}({given}path, *, mode='r')\n    {row['answers'][0]}" for given in ("", "self, ")
        ]
        assert row["doc_id"] in held_out
        found = search.find(row["question"], 20)
        assert found[row["page_rank"] - 1].doc_id == row["doc_id"]
        assert all(one.doc_id != row["doc_id"] for one in found[: row["page_rank"] - 1])
        assert row["answers"][0] in " ".join(found[row["answer_rank"] - 1].text.split())
        assert row["answers"][0] in " ".join(search.numbered([row["passage"]])[0].text.split())
    assert artifact.metrics["hit_1"] == sum(row["page_rank"] == 1 for row in rows) / 10 > 0.8
    assert artifact.metrics["hit_5"] == 1
    assert artifact.metrics["answer_5"] is not None
    assert artifact.metrics["answer_5_stderr"] is not None
