"""training/pretrain/masked.py: an encoder learns to name hidden tokens, resumes exactly, and says what it needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from model.tokenizer import MASK
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.pretrain.preflight import check
from tasks.training.trained import load_trained
from tests.tasks.pydoc_corpus import PRETRAIN, build_corpus, make
from tests.tasks.training.pretrain.test_stage import Interrupted

CONFIG = PretrainConfig.model_validate({**PRETRAIN, "model": {**PRETRAIN["model"], "network": "encoder"}})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    plain = dict(built)
    built["tokenizer"] = make(tokenizer, lake, TokenizerConfig(vocab_size=512, specials=(MASK,)), built).artifact
    built["tokenize"] = make(tokenize, lake, TokenizeConfig(seq_len=64), built).artifact
    return lake, {**built, "plain_tokenizer": plain["tokenizer"], "plain_tokens": plain["tokenize"]}


def test_an_encoder_learns_and_shows_its_gaps(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = corpus
    artifact = make(pretrain, lake, CONFIG, built).artifact
    model, _ = load_trained(artifact)
    assert not model.config.causal
    assert artifact.metrics["validation_loss"] < 6.2  # ln 512 = 6.24: it has learned something
    assert 0 < artifact.counts["tokens"] < 20 * 4 * 128 * 0.25, "only hidden tokens are targets"
    samples = [json.loads(line) for line in (artifact.path / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 2
    assert all(MASK in sample["text"] and 0 <= sample["right"] <= 1 for sample in samples)


def test_an_interrupted_encoder_goes_on_and_ends_with_the_same_bytes(
    corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    given = {"tokens": corpus[1]["tokenize"], "tokenizer": corpus[1]["tokenizer"]}
    pretrain(CONFIG, local_output(tmp_path / "whole"), **given)
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        pretrain(CONFIG, Interrupted(tmp_path / "cut"), **given)
    pretrain(CONFIG, local_output(tmp_path / "cut"), **given)
    for name in ("model.safetensors", "samples.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_a_tokenizer_without_a_mask_stops_the_training_and_the_plan(
    corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    lake, built = corpus
    with pytest.raises(PermanentError, match=r"has no <\|mask\|>"):
        pretrain(CONFIG, local_output(tmp_path), tokens=built["plain_tokens"], tokenizer=built["plain_tokenizer"])
    facts = Facts({"tokenizer": TokenizerConfig()}, lake)
    assert [fault.field for fault in check(CONFIG, facts)] == ["tokenizer.specials"]
    assert not list(check(CONFIG, Facts({"tokenizer": TokenizerConfig(specials=(MASK,))}, lake)))


def test_a_depth_that_another_field_overrules_is_told() -> None:
    overruled = PretrainConfig.model_validate({"depth": 6, "model": {"n_layer": 2}})
    assert overruled.model.d_model == 384
    [told] = check(overruled, Facts({}, Lake(Path())))
    assert (told.field, told.stops) == ("pretrain.depth", False)
    assert not list(check(PretrainConfig(depth=6), Facts({}, Lake(Path()))))
    with pytest.raises(ValidationError, match="tokens_per_weight means nothing without depth"):
        PretrainConfig(tokens_per_weight=5)


def test_settings_of_another_network_are_refused() -> None:
    with pytest.raises(ValidationError, match="masking means nothing for a decoder"):
        PretrainConfig.model_validate({"masking": {"whole_words": True}})
    with pytest.raises(ValidationError, match="learns from pairs of texts"):
        PretrainConfig.model_validate({"model": {"network": "encoder-decoder"}})
