"""What a model writes is scored by a classifier of clean: by prompt, with standard errors, and nothing is dropped.

Also covers: tasks/evaluation/evaluate/prompts.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem
from tasks.corpus.clean.linear import Classifier, classifier_file, features_of
from tasks.evaluation.evaluate import EvaluateConfig, evaluate
from tasks.evaluation.evaluate.config import ToxicityConfig
from tasks.evaluation.evaluate.prompts import Prompt, read_prompts
from tasks.evaluation.evaluate.toxicity import summary
from tasks.stage import PermanentError
from tasks.synthetic.questions.files import Asked, HeldOut, Seen, write_questions
from tests.flows.cli.untrained import untrained
from tests.lakes import commit

Models = tuple[Lake, dict[str, Artifact]]


def against(*words: str) -> Classifier:
    """A classifier that finds texts toxic where they have one of these words; of others it thinks this and that."""
    weights = np.random.default_rng(0).normal(0, 4, 1 << 16).astype(np.float32)
    for word in words:
        weights[features_of(word, 1, 100, len(weights))] = 90.0
    return Classifier(weights, 0.0, ngram=1, max_words=100)


def cleaned(lake: Lake, **classifiers: Classifier) -> Artifact:
    made = commit(lake, "clean", texts={"names": " ".join(classifiers)}, kind="Documents")
    for name, classifier in classifiers.items():
        path = classifier_file(made.path, name)
        path.parent.mkdir(exist_ok=True)
        classifier.save(path)
    return made


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """A model that has learned nothing, and questions about five short texts."""
    model = untrained(tmp_path)
    lake = Lake(tmp_path / "lake")
    asked = commit(lake, "questions", kind="Questions")
    items = {"hellaswag": Seen([False], [0.0]), "mmlu": Seen([False], [0.0])}
    texts = [HeldOut(f"{n:016x}", None, "a.txt", "en", f"Text {n} tells of things that were seen.") for n in range(5)]
    sentence = HellaSwagItem(0, "", "It", "turns", "It turns", ("on", "off", "up", "in"), 1)
    question = MmluItem("art", "What?", ("a", "b", "c", "d"), 0)
    available = {"hellaswag": 1, "mmlu": 1}
    xz = {"xz": 2.0, "xz_primed": None}
    write_questions(asked.path, Asked(texts, [sentence], [question], {}, items, available, xz))
    return lake, {"pretrain": model, "questions": asked}


def evaluated(models: Models, asked: dict[str, Any], **classifiers: Classifier) -> Artifact:
    lake, built = models
    config = EvaluateConfig(threads=1, controls=False, toxicity=ToxicityConfig.model_validate(asked))
    inputs = {"model": built["pretrain"], "questions": built["questions"], "classifiers": cleaned(lake, **classifiers)}
    return evaluate.build(lake, config, inputs).artifact


def test_continuations_of_held_out_texts_are_scored_by_prompt(models: Models) -> None:
    asked = {"limit": 5, "continuations": 4, "tokens": 12, "prompt_tokens": 8}
    made = evaluated(models, asked, toxicity=against("e", "the"))
    found = json.loads((made.path / "results.json").read_text())["toxicity"]
    rows = pq.read_table(made.path / "continuations.parquet").to_pylist()
    assert len(rows) == 20
    assert (found["asked"], found["n"], found["empty"]) == (5, 5, sum(row["score"] is None for row in rows))
    by_prompt = [[row["score"] for row in rows if row["prompt"] == n and row["score"] is not None] for n in range(5)]
    highest = [max(own) for own in by_prompt]
    assert found["expected_maximum"] == pytest.approx(np.mean(highest))
    assert found["expected_maximum_stderr"] == pytest.approx(np.std(highest, ddof=1) / math.sqrt(5))
    assert found["share_of_prompts"] == sum(one >= 0.5 for one in highest) / 5
    assert found["mean"] == pytest.approx(np.mean([np.mean(own) for own in by_prompt]))
    assert found["own"] is not None  # how the pages really go on
    assert [one["score"] for one in found["worst"]] == sorted((s for own in by_prompt for s in own), reverse=True)[:10]
    assert made.metrics["toxicity_expected_maximum"] == found["expected_maximum"]
    assert made.counts["toxicity_prompts"] == 5
    assert len({row["text"] for row in rows if row["prompt"] == 0}) > 1  # each text has random numbers of its own
    assert "Toxicity of continuations" in (made.path / "report.html").read_text("utf-8")
    again = evaluated(models, {**asked, "seed": 1}, toxicity=against("e", "the"))
    others = pq.read_table(again.path / "continuations.parquet").to_pylist()
    assert {row["text"] for row in rows} != {row["text"] for row in others}


def test_prompts_from_files_and_the_rows_that_are_none(models: Models, tmp_path: Path) -> None:
    rows = [
        {"prompt": {"text": "Read the file", "toxicity": 0.1}, "continuation": {"text": " and go."}},
        {"prompt": "Write <b>"},
        {"prompt": {"text": "  "}},
        {"text": "no prompt"},
        {"prompt": "Write <b>"},
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "p.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, "{broken"]).encode())
    told: list[str] = []
    found = read_prompts([str(tmp_path / "p.jsonl")], told.append)
    assert [(one.place, one.text, one.own) for one in found] == [
        ("p.jsonl:1", "Read the file", " and go."),
        ("p.jsonl:2", "Write <b>", ""),
    ]
    assert [one.partition(":")[0] for one in told] == [f"row {n} of p.jsonl" for n in (3, 4, 6)]
    toxicity = {"prompts": [str(tmp_path / "p.jsonl")], "continuations": 2, "tokens": 8, "classifier": "rude"}
    made = evaluated(models, toxicity, rude=against("go"))
    assert made.counts["toxicity_rows_left_out"] == 3
    assert {row["place"] for row in pq.read_table(made.path / "continuations.parquet").to_pylist()} == {
        "p.jsonl:1", "p.jsonl:2",
    }  # fmt: skip
    assert json.loads((made.path / "results.json").read_text())["toxicity"]["own"] > 0.9
    (tmp_path / "p.jsonl").write_text('{"prompt": "Close"}')
    assert evaluated(models, toxicity, rude=against("go")).key != made.key  # an edited file is asked anew


def test_a_classifier_or_a_file_that_does_not_fit_is_a_sentence(models: Models, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"has no classifier 'toxicity' .*; it has quality, rude"):
        evaluated(models, {}, quality=against("a"), rude=against("b"))
    lake, built = models
    other = cleaned(lake, toxicity=against("q"))
    classifier_file(other.path, "toxicity").write_bytes(b"no weights")
    with pytest.raises(PermanentError, match="is no classifier that clean wrote"):
        evaluate.build(lake, EvaluateConfig(threads=1, toxicity=ToxicityConfig()),
                       {"model": built["pretrain"], "questions": built["questions"], "classifiers": other})  # fmt: skip
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(PermanentError, match="have no prompt"):
        evaluated(models, {"prompts": [str(tmp_path / "none.jsonl")]}, toxicity=against("c"))
    with pytest.raises(PermanentError, match="there is no such file"):
        evaluated(models, {"prompts": [str(tmp_path / "nowhere*")]}, toxicity=against("d"))
    with pytest.raises(PermanentError, match="No held-out document has more than"):
        evaluated(models, {"prompt_tokens": 100_000}, toxicity=against("e"))


def test_a_text_of_nothing_has_no_score_and_its_prompt_is_left_out_and_counted() -> None:
    def row(prompt: int, score: float | None) -> dict[str, Any]:
        return {"prompt": prompt, "place": "p", "context": "c", "text": "", "score": score, "truncated": False}

    rows = [row(0, 0.2), row(0, 0.8), row(1, None), row(1, None), row(2, 0.4), row(2, None)]
    found = summary(ToxicityConfig(continuations=2), [Prompt(str(n), "x") for n in range(3)], rows, against("x"))
    assert (found["asked"], found["n"], found["empty"]) == (3, 2, 3)
    assert (found["mean"], found["expected_maximum"]) == (pytest.approx(0.45), pytest.approx(0.6))
    assert (found["share_of_prompts"], found["share_of_texts"]) == (0.5, 0.25)
    assert found["own"] is None
    nothing = summary(ToxicityConfig(), [Prompt("p", "x")], [row(0, None)], against("x"))
    assert (nothing["mean"], nothing["mean_stderr"], nothing["worst"]) == (None, None, [])
