"""training/pretrain/repeats.py: repeated rows follow from seed, step and number; only repetitions are learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from model.losses import IGNORE
from tasks.stage import local_output
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.pretrain.reading import Reading
from tests.tasks.pydoc_corpus import PRETRAIN, build_corpus
from tests.tasks.training.pretrain.test_stage import Interrupted

COPYING = {**PRETRAIN["model"], "n_layer": 2, "n_kv_head": 2, "max_seq_len": 64}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    return build_corpus(tmp_path_factory.mktemp("corpus"))


def config(**changed: Any) -> PretrainConfig:
    return PretrainConfig.model_validate({**PRETRAIN, "model": COPYING, "repeats": 3, **changed})


def reading(corpus: tuple[Lake, dict[str, Artifact]], asked: PretrainConfig) -> Reading:
    from model.tokenizer import Tokenizer

    return Reading(asked, corpus[1]["tokenize"], Tokenizer.load(corpus[1]["tokenizer"].path))


@pytest.mark.parametrize("documents", ["joined", "separate"])
def test_texts_are_read_as_without_and_repeats_come_after_them(
    corpus: tuple[Lake, dict[str, Artifact]], documents: str
) -> None:
    with_them = reading(corpus, config(documents=documents))
    without = reading(corpus, config(documents=documents, repeats=0))
    for step in (0, 9):
        batch, plain = with_them.batch(step), without.batch(step)
        assert torch.equal(batch.inputs[:4], plain.inputs)
        assert torch.equal(batch.targets[:4], plain.targets)
        parts = [with_them.batch(step, rank, 2) for rank in (0, 1)]
        assert sorted(row.tolist() for part in parts for row in part.inputs) == sorted(batch.inputs.tolist())
        for inputs, targets in zip(batch.inputs[4:].tolist(), batch.targets[4:].tolist(), strict=True):
            first = next(place for place, target in enumerate(targets) if target != IGNORE)
            period = first + 1
            assert 8 <= period <= 32
            assert inputs[period:] == inputs[:-period]
            assert targets[first:-1] == inputs[period:]
    assert not torch.equal(with_them.batch(0).inputs[4:], with_them.batch(9).inputs[4:])
    assert with_them.ledger() == without.ledger(), "what is repeated is no text of the corpus"


def test_an_interrupted_training_goes_on_and_ends_with_the_same_bytes(
    corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    given = {"tokens": corpus[1]["tokenize"], "tokenizer": corpus[1]["tokenizer"]}
    asked = config(start="induction", model={**COPYING, "d_model": 64})
    out = local_output(tmp_path / "whole")
    pretrain(asked, out, **given)
    assert out.counts["tokens_repeated"] == 20 * 3 * 64
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        pretrain(asked, Interrupted(tmp_path / "cut"), **given)
    pretrain(asked, local_output(tmp_path / "cut"), **given)
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "cut/model.safetensors").read_bytes()


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="repeats teach a decoder to copy"):
        PretrainConfig.model_validate({"model": {"network": "encoder"}, "repeats": 1})
    with pytest.raises(ValidationError, match="start cannot be induction: it takes two blocks"):
        PretrainConfig.model_validate({"model": {"n_layer": 1}, "start": "induction"})
