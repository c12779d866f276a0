"""memorisation: a model that has learned its text by heart is found out, one that has not is not.

Also covers: tasks/evaluation/memorisation/config.py
Also covers: tasks/evaluation/computing.py
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.evaluation.memorisation import MemorisationConfig, memorisation
from tasks.evaluation.memorisation.stage import check
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.pretrain import PretrainConfig, pretrain
from tests.tasks.pydoc_corpus import PRETRAIN, PagesConfig, build_corpus, make

Built = dict[str, Artifact]
CONFIG = MemorisationConfig(passages=30, prefix=12, continuation=4, threads=1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Built]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"), PagesConfig(count=12))
    long = {**PRETRAIN, "training": {"steps": 200, "batch_size": 4, "learning_rate": 1e-2}}
    return lake, {
        **built,
        "tokens": built["tokenize"],
        "fresh": make(pretrain, lake, PretrainConfig(**{**PRETRAIN, "training": {"steps": 1}}), built).artifact,
        "model": make(pretrain, lake, PretrainConfig.model_validate(long), built).artifact,
    }


def test_what_was_read_often_is_repeated(built: tuple[Lake, Built], tmp_path: Path) -> None:
    lake, artifacts = built
    artifact = make(memorisation, lake, CONFIG, artifacts).artifact
    rows = pq.read_table(artifact.path / "passages.parquet").to_pylist()
    trained = [row for row in rows if row["split"] == "train"]
    assert len(trained) == artifact.counts["passages"] == 30
    assert artifact.metrics["memorised"] == sum(row["memorised"] for row in trained) / 30 > 0.3
    assert artifact.metrics["memorised_stderr"] > 0
    assert all(row["in_training"] >= 1 for row in trained)
    assert all((row["text"] == row["written"]) == row["memorised"] for row in rows)
    out = local_output(tmp_path)
    memorisation(CONFIG, out, model=artifacts["fresh"], tokens=artifacts["tokens"])
    assert out.metrics["memorised"] < artifact.metrics["memorised"]


def test_passages_longer_than_the_context_are_said_by_the_plan_too(built: tuple[Lake, Built], tmp_path: Path) -> None:
    lake, artifacts = built
    long = MemorisationConfig(prefix=100, continuation=100)
    with pytest.raises(PermanentError, match="cannot continue passages of 100"):
        memorisation(long, local_output(tmp_path), model=artifacts["model"], tokens=artifacts["tokens"])
    facts = Facts({"pretrain": PretrainConfig(**PRETRAIN)}, lake)
    assert [fault.field for fault in check(long, facts)] == ["memorisation.continuation"]
    assert not list(check(CONFIG, facts))
