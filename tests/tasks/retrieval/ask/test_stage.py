"""ask: a model that copies is right where the passage has the answer; what is counted is what was written.

Also covers: tasks/retrieval/ask/config.py
Also covers: tasks/retrieval/asking.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import write_parquet
from model import generate
from model.decoding import Generation
from tasks.retrieval.ask import AskConfig, ask
from tasks.retrieval.ask.stage import check, contract
from tasks.retrieval.asking import given, room, that_fit
from tasks.retrieval.index import IndexConfig, index
from tasks.retrieval.index.search import Search
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.pretrain import PretrainConfig
from tests.flows.cli.untrained import untrained
from tests.tasks.pydoc_corpus import PRETRAIN, PagesConfig, decontaminate
from tests.tasks.retrieval.lakes import TextsConfig
from tests.tasks.retrieval.lakes import decontaminate as texts

CONFIG = AskConfig(questions=6, passages=2, max_tokens=40, threads=1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    home = tmp_path_factory.mktemp("home")
    lake = Lake(home / "lake")
    corpus = decontaminate.build(lake, PagesConfig(count=20), {}).artifact
    made = index.build(lake, IndexConfig(passage_words=30, workers=1), {"corpus": corpus}).artifact
    return lake, {"index": made, "model": untrained(home, "textmill", context=1024), "base": untrained(home)}


def test_answers_are_compared_with_the_right_ones(
    built: tuple[Lake, dict[str, Artifact]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of a trained model: one that writes the first right answer if it stands in what it was given."""
    lake, artifacts = built
    questions = pq.read_table(artifacts["index"].path / "questions.parquet").to_pylist()[:6]
    known = {row["question"]: row["answers"][0] for row in questions}
    prompts: list[str] = []

    def copying(model: Any, asked: list[list[int]], *rest: Any, **options: Any) -> list[Generation]:
        made = []
        for ids in asked:
            text = bytes(id_ for id_ in ids if id_ < 256).decode()
            prompts.append(text)
            answer = next(answer for question, answer in known.items() if question in text)
            written = answer.replace(" ", "\n", 1) if answer in " ".join(text.split()) else "I do not know."
            made.append(Generation(ids=list(written.encode()), finish="stop", log_probs=[-0.5, -1.5]))
        return made

    monkeypatch.setattr(generate, "generate_batch", copying)
    artifact = ask.build(lake, CONFIG, {"model": artifacts["model"], "index": artifacts["index"]}).artifact
    rows = pq.read_table(artifact.path / "answers.parquet").to_pylist()
    assert len(rows) == len(prompts) == 18
    assert artifact.counts["questions"] == 6
    assert artifact.metrics["exact_right"] == 1
    assert artifact.metrics["exact_alone"] == 0
    assert artifact.manifest.gain is not None
    assert artifact.manifest.gain.against == "without pages"
    found = [row for row in rows if row["way"] == "found"]
    assert artifact.metrics["exact"] == artifact.metrics["gain"] == artifact.metrics["given_answer"]
    assert artifact.metrics["exact"] == sum(row["has_answer"] for row in found) / 6 > 0.3
    assert artifact.metrics["quoted"] == artifact.metrics["exact"]
    search = Search(artifacts["index"].path)
    for row in found:
        assert row["passages"] == [one.number for one in search.find(row["question"], 2)]
        assert row["given"] == given(search.find(row["question"], 2))
        assert row["mean_log_prob"] == -1
    assert all(row["given"] == "" and not row["quoted"] for row in rows if row["way"] == "alone")
    both = {"model": artifacts["model"], "index": artifacts["index"]}
    cheaper = ask.build(lake, CONFIG.model_copy(update={"right": False}), both).artifact
    ways = pq.read_table(cheaper.path / "answers.parquet")["way"].to_pylist()
    assert ways == ["found"] * 6 + ["alone"] * 6
    assert "exact_right" not in cheaper.metrics
    assert (cheaper.metrics["exact"], cheaper.metrics["gain"]) == (artifact.metrics["exact"], artifact.metrics["gain"])
    assert not list(contract(cheaper))
    write_parquet(cheaper.path / "answers.parquet", pa.table({"way": ways[:-1]}))
    assert list(contract(cheaper)) == ["answers.parquet has 5 answers of the way alone, not 6."]


def test_a_real_model_answers_within_its_context(built: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    lake, artifacts = built
    short = untrained(lake.root.parent, "textmill", context=160)
    out = local_output(tmp_path)
    ask(CONFIG.model_copy(update={"max_tokens": 8}), out, model=short, index=artifacts["index"])
    rows = pq.read_table(tmp_path / "answers.parquet").to_pylist()
    assert [row for row in rows if row["way"] == "found" and row["given"]]
    for row in rows:
        asked = len(row["question"]) + len(row["given"]) + 2 * bool(row["given"])
        assert asked + 4 <= 160 - 8
    assert out.metrics["exact"] == 0


def test_who_cannot_be_asked(built: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    lake, artifacts = built
    with pytest.raises(PermanentError, match="was taught no chat"):
        ask(CONFIG, local_output(tmp_path), model=artifacts["base"], index=artifacts["index"])
    other = index.build(
        lake, IndexConfig(workers=1), {"corpus": texts.build(lake, TextsConfig(), {}).artifact}
    ).artifact
    with pytest.raises(PermanentError, match="has no questions"):
        ask(CONFIG, local_output(tmp_path), model=artifacts["model"], index=other)


def test_the_plan_says_that_passages_are_too_long_for_the_context() -> None:
    configs = {"pretrain": PretrainConfig(**PRETRAIN), "index": IndexConfig(passage_words=80)}
    faults = list(check(AskConfig(), Facts(configs, Lake(Path("none")))))
    assert [(fault.field, fault.stops) for fault in faults] == [("index.passage_words", False)]
    assert "about 128 tokens" in faults[0].reason
    assert "has room for 96" in faults[0].reason
    fitting = {**configs, "index": IndexConfig(passage_words=40)}
    assert not list(check(AskConfig(), Facts(fitting, Lake(Path("none")))))


def test_as_many_passages_as_fit_the_best_one_first(built: tuple[Lake, dict[str, Artifact]]) -> None:
    found = Search(built[1]["index"].path).find("What does `mod1.read_file` do?", 4, least=0.0)
    sizes = [len(one.text.strip()) for one in found]
    both = sizes[0] + sizes[1] + 2
    assert that_fit(found, lambda text: len(text) <= both) == found[:2]
    small = min(range(1, 4), key=lambda i: sizes[i])
    assert that_fit(found, lambda text: len(text) <= sizes[0] + sizes[small] + 2)[0] == found[0]
    begun = that_fit(found[:1], lambda text: len(text) <= sizes[0] - 1)
    assert len(begun) == 1
    assert found[0].text.startswith(begun[0].text)
    assert begun[0].end - begun[0].start == len(begun[0].text) < len(found[0].text)
    assert that_fit(found, lambda text: len(text) < 1) == []
    assert that_fit([], lambda text: True) == []
    assert (room(256, 96), room(256, 10), room(8, 1000)) == (192, 246, 6)
