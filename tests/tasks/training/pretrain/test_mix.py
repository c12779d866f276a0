"""training/pretrain/mix.py: what a mixed training read adds up, a plan says it before, and mistakes are sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from tasks.stage import PermanentError, local_output
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.pretrain.config import MixConfig
from tests.tasks.pydoc_corpus import PRETRAIN, build_corpus, make

# pages mod0 … mod39: those of one digit, those from mod10 to mod19, and the rest
SOURCES = [
    {"name": "few", "match": ["*/mod?.html"], "weight": 1},
    {"name": "teens", "match": ["*/mod1?.html"], "weight": 3},
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    return build_corpus(tmp_path_factory.mktemp("corpus"))


def config(**mix: Any) -> PretrainConfig:
    return PretrainConfig(**{**PRETRAIN, "mix": {"sources": SOURCES, **mix}})


def read(corpus: tuple[Lake, dict[str, Artifact]]) -> dict[str, Artifact]:
    """What pretrain reads, by its roles."""
    return {"tokens": corpus[1]["tokenize"], "tokenizer": corpus[1]["tokenizer"]}


def test_what_was_read_is_counted_to_the_last_window(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = corpus
    artifact = make(pretrain, lake, config(), built).artifact
    rows = {row["source"]: row for row in json.loads((artifact.path / "mix.json").read_text())}
    assert {name: row["windows"] for name, row in rows.items()} == {"few": 20, "teens": 60, "rest": 0}
    assert sum(row["tokens"] for row in rows.values()) == artifact.counts["tokens"] == 20 * 4 * 128
    assert artifact.counts["mix_tokens_few"] == 20 * 128
    assert artifact.metrics["mix_epochs_few"] == rows["few"]["epochs"] > 0
    assert pretrain.violations(artifact) == []
    rows["few"]["windows"] -= 1
    (artifact.path / "mix.json").write_text(json.dumps(list(rows.values())))
    assert any("accounts for 79 windows" in problem for problem in pretrain.violations(artifact))


def test_a_plan_shows_it_before(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    assert pretrain.preview is not None
    rows = pretrain.preview(config(), read(corpus))
    assert [(row["name"], row["share"], row["draws"]) for row in rows] == [
        ("few", 0.25, 20), ("teens", 0.75, 60), ("rest", 0.0, 0),
    ]  # fmt: skip
    assert all(row["tokens"] > 0 for row in rows)
    assert pretrain.preview(PretrainConfig(**PRETRAIN), read(corpus)) == []


def test_without_weights_tokens_decide_and_temperature_flattens(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    assert pretrain.preview is not None
    plain = [{name: value for name, value in source.items() if name != "weight"} for source in SOURCES]
    rows = pretrain.preview(config(sources=plain), read(corpus))
    total = sum(row["tokens"] for row in rows)
    assert [row["share"] for row in rows] == pytest.approx([row["tokens"] / total for row in rows])
    assert rows[2]["name"] == "rest"
    assert rows[2]["share"] > 0
    hot = pretrain.preview(config(sources=plain, temperature=1e9), read(corpus))
    assert [row["share"] for row in hot] == pytest.approx([1 / 3] * 3)


def test_without_a_mix_everything_is_as_it_was(corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    lake, built = corpus
    artifact = make(pretrain, lake, PretrainConfig(**PRETRAIN), built).artifact
    assert not (artifact.path / "mix.json").exists()
    # one source that is everything has all windows too, in an order of its own
    out = local_output(tmp_path / "out")
    every = PretrainConfig(**{**PRETRAIN, "mix": {"sources": [{"name": "all", "match": ["*"]}]}})
    pretrain(every, out, tokens=built["tokenize"], tokenizer=built["tokenizer"])
    assert json.loads((out.dir / "mix.json").read_text())[0]["windows"] == 80


def test_an_interrupted_run_ends_with_the_same_bytes(corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    from tests.tasks.training.pretrain.test_stage import Interrupted

    given = read(corpus)
    pretrain(config(), local_output(tmp_path / "whole"), **given)
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        pretrain(config(), Interrupted(tmp_path / "cut"), **given)
    pretrain(config(), local_output(tmp_path / "cut"), **given)
    for name in ("model.safetensors", "mix.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_mistakes_are_sentences(corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    for mix, message in (
        ({"sources": [SOURCES[0], {"name": "b"}]}, "'b' has none"),
        ({"sources": [SOURCES[0], SOURCES[0]]}, "called 'few'"),
        ({"sources": [{"name": "rest"}]}, "called 'rest'"),
        ({"sources": [], "temperature": 2.0}, "has no sources"),
    ):
        with pytest.raises(ValidationError, match=message):
            MixConfig(**mix)  # type: ignore[arg-type]
    none = config(sources=[{"name": "news", "match": ["*news*"], "weight": 1}])
    tight = config(sources=[{**SOURCES[0], "max_epochs": 0.5}])
    assert pretrain.preview is not None
    for wrong, message in ((none, "'news' of the mix matches no training document"), (tight, "allow more epochs")):
        with pytest.raises(PermanentError, match=message):
            pretrain.preview(wrong, read(corpus))
        with pytest.raises(PermanentError, match=message):
            pretrain(wrong, local_output(tmp_path), **read(corpus))
