"""evaluate_encoder: every chosen token is hidden once, the numbers are those of its rows, and decoders are refused.

Also covers: tasks/evaluation/evaluate_encoder/config.py
"""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from model.tokenizer import MASK
from tasks.corpus.decontaminate import DecontaminateConfig
from tasks.corpus.splits import documents_of
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.evaluation.evaluate_encoder import EvaluateEncoderConfig, evaluate_encoder
from tasks.evaluation.evaluate_encoder.stage import check
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.pretrain import PretrainConfig, pretrain
from tests.tasks.pydoc_corpus import PRETRAIN, build_corpus, make
from tests.tasks.training.pretrain.test_masked import CONFIG

Built = dict[str, Artifact]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Built]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    decoder = make(pretrain, lake, PretrainConfig(**PRETRAIN), built).artifact
    built["tokenizer"] = make(tokenizer, lake, TokenizerConfig(vocab_size=512, specials=(MASK,)), built).artifact
    built["tokenize"] = make(tokenize, lake, TokenizeConfig(seq_len=64), built).artifact
    return lake, {**built, "decoder": decoder, "model": make(pretrain, lake, CONFIG, built).artifact}


def test_the_numbers_are_those_of_the_hidden_tokens(built: tuple[Lake, Built]) -> None:
    lake, artifacts = built
    artifact = make(evaluate_encoder, lake, EvaluateEncoderConfig(tokens=50, threads=1), artifacts).artifact
    rows = pq.read_table(artifact.path / "hidden.parquet").to_pylist()
    assert len(rows) == artifact.counts["hidden_tokens"] == 50
    mean = sum(row["log_probability"] for row in rows) / 50
    assert artifact.metrics["pseudo_perplexity"] == pytest.approx(math.exp(-mean))
    assert artifact.metrics["pseudo_perplexity"] < 512, "better than not knowing the language at all"
    assert artifact.metrics["accuracy"] == sum(row["right"] for row in rows) / 50
    held_out = {document.doc_id for document in documents_of(artifacts["decontaminate"].path, {"test"})}
    assert {row["doc_id"] for row in rows} == held_out, "spread over all documents"


def test_all_tokens_are_hidden_if_none_are_counted(built: tuple[Lake, Built], tmp_path: Path) -> None:
    out = local_output(tmp_path)
    artifacts = built[1]
    config = EvaluateEncoderConfig(tokens=0, threads=1)
    evaluate_encoder(config, out, model=artifacts["model"], corpus=artifacts["decontaminate"])
    texts = [document.text for document in documents_of(artifacts["decontaminate"].path, {"test"})]
    rows = pq.read_table(tmp_path / "hidden.parquet").to_pylist()
    assert "".join(row["token"] for row in rows) == "".join(texts)


def test_a_decoder_is_refused_and_nothing_held_out_is_said_by_the_plan(
    built: tuple[Lake, Built], tmp_path: Path
) -> None:
    lake, artifacts = built
    corpus = artifacts["decontaminate"]
    with pytest.raises(PermanentError, match="is no encoder"):
        evaluate_encoder(EvaluateEncoderConfig(), local_output(tmp_path), model=artifacts["decoder"], corpus=corpus)
    nothing = DecontaminateConfig.model_validate({"split": {"test": 0.0}})
    faults = check(EvaluateEncoderConfig(), Facts({"decontaminate": nothing}, lake))
    assert [fault.field for fault in faults] == ["decontaminate.split.test"]
