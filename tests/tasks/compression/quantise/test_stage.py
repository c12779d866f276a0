"""tasks/compression/quantise: the model is smaller and says nearly the same, the rest of the house takes it as any
other, and one that loses too much is none.

Also covers: tasks/compression/quantise/config.py
Also covers: tasks/compression/quantise/preflight.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from model.sampling import Sampling
from tasks.compression.quantise import QuantiseConfig, quantise
from tasks.corpus.decontaminate import DecontaminateConfig
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.delivery.export import ExportConfig, export
from tasks.delivery.generation import Writer
from tasks.stage import PermanentError, local_output
from tasks.stage.contract import ContractError
from tasks.stage.preflight import Facts
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.sft import SftConfig, sft
from tests.tasks.pydoc_corpus import PRETRAIN, RUNTIME, SFT, build_corpus, make

Built = dict[str, Artifact]
FORM = {"bits": 4, "group": 16}


def config(**fields: Any) -> QuantiseConfig:
    return QuantiseConfig.model_validate({"threads": 1, "samples": 2, "sample_tokens": 6, **fields})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Built]:
    lake, made = build_corpus(tmp_path_factory.mktemp("corpus"))
    once = {**PRETRAIN, "runtime": {**RUNTIME, "checkpoint_seconds": 1e9}}
    made["pretrain"] = make(pretrain, lake, PretrainConfig.model_validate(once), made).artifact
    return lake, {**made, "tokens": made["tokenize"], "model": made["pretrain"], "corpus": made["decontaminate"]}


@pytest.mark.parametrize("method", ["nearest", "gptq"])
@pytest.mark.parametrize("form", [{}, FORM, {**FORM, "symmetric": False}], ids=str)
def test_it_is_smaller_and_says_nearly_the_same(built: tuple[Lake, Built], form: dict[str, Any], method: str) -> None:
    lake, artifacts = built
    made = make(quantise, lake, config(**form, method=method), artifacts).artifact
    metrics = made.metrics
    assert metrics["lost_bits_per_byte"] == metrics["bits_per_byte"] - metrics["bits_per_byte_before"]
    assert abs(metrics["lost_bits_per_byte"]) < 0.02
    assert 0.7 < metrics["agreement"] <= 1
    assert metrics["size"] < 0.5
    assert made.counts["parameters"] == artifacts["model"].counts["parameters"]
    rows = [json.loads(line) for line in (made.path / "samples.jsonl").read_text().splitlines()]
    assert [list(row) for row in rows] == [["prompt", "before", "after"]] * 2
    described = json.loads((made.path / "model.json").read_text())
    assert described["quantisation"]["bits"] == form.get("bits", 8)


def test_the_rest_of_the_house_takes_it_as_any_model(built: tuple[Lake, Built]) -> None:
    lake, artifacts = built
    made = make(quantise, lake, config(), artifacts).artifact
    assert Writer(made, device="cpu").write(["Tools of"], 5, Sampling(0.0))[0].text
    exported = make(export, lake, ExportConfig(formats=("hf",)), {**artifacts, "model": made}).artifact
    assert "hf/model.safetensors" in exported.files, "with the float32 weights that its levels stand for"


def test_a_model_that_loses_too_much_is_none(built: tuple[Lake, Built]) -> None:
    lake, artifacts = built
    with pytest.raises(ContractError, match=r"more than quantise.max_loss \(-1\).*method: gptq"):
        make(quantise, lake, config(**FORM, max_loss=-1.0), artifacts)
    assert all(one.manifest.payload["config"]["max_loss"] != -1 for one in lake.artifacts("quantise"))


def test_it_is_neither_trained_nor_quantised_again(built: tuple[Lake, Built], tmp_path: Path) -> None:
    lake, artifacts = built
    made = make(quantise, lake, config(), artifacts).artifact
    with pytest.raises(PermanentError, match="8 bits per weight cannot be trained"):
        sft(SftConfig(**SFT), local_output(tmp_path / "sft"), corpus=artifacts["corpus"], base=made)
    with pytest.raises(PermanentError, match="cannot be quantised again"):
        quantise(config(), local_output(tmp_path / "twice"), model=made, tokens=artifacts["tokens"])


def test_what_a_plan_knows_it_says(lake: Lake) -> None:
    configs = {"pretrain": PretrainConfig(**PRETRAIN), "decontaminate": DecontaminateConfig(split={"val": 0.0})}
    faults = quantise.faults(config(bits=4), Facts(configs, lake))
    assert [fault.field for fault in faults] == ["decontaminate.split.val", "quantise.group"]
    assert "Rows of 32 weights" in faults[1].reason
    assert not quantise.faults(config(), Facts({"pretrain": PretrainConfig(**PRETRAIN)}, lake))
    with pytest.raises(ValidationError, match="calibration_tokens means nothing"):
        config(calibration_tokens=5)


def test_tokens_that_are_missing_or_of_another_vocabulary_are_a_sentence(
    built: tuple[Lake, Built], tmp_path: Path
) -> None:
    lake, artifacts = built
    tokens = artifacts["tokens"]
    corpus = {"decontaminate": artifacts["corpus"]}  # without the model, whose tokenizer it would be
    other = make(tokenizer, lake, TokenizerConfig(vocab_size=320), corpus).artifact
    foreign = make(tokenize, lake, TokenizeConfig(seq_len=64), {**corpus, "tokenizer": other}).artifact
    gone = Artifact(tokens.stage, tokens.key, tmp_path / "gone", tokens.manifest)
    for given, words in ((foreign, "tokens of another tokenizer"), (gone, "holds no token shards")):
        with pytest.raises(PermanentError, match=words):
            quantise(config(), local_output(tmp_path / "out"), model=artifacts["model"], tokens=given)
