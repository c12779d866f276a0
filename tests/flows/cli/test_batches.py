"""`textmill sample batches`: what a step sees, for people and for programs, without training.

Also covers: tasks/training/shown.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data_lake.store.lake import Artifact, Lake
from flows.graph.node import Graph
from model.batches import Batch
from model.losses import IGNORE
from model.seq2seq import pair_batch, pair_ids
from model.tokenizer import Tokenizer
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.sft import SftConfig, sft
from tasks.training.shown import pieces, shown_rows
from tests.tasks.pydoc_corpus import PRETRAIN, SFT, PagesConfig, build_corpus, decontaminate, make
from tests.terminal import data, notes, textmill


def graph_of(documents: str) -> Graph:
    """decontaminate → tokenizer → tokenize → pretrain → sft, of small pages."""
    graph = Graph()
    corpus = graph.add(decontaminate, PagesConfig())
    vocabulary = graph.add(tokenizer, TokenizerConfig(vocab_size=512), corpus=corpus)
    tokens = graph.add(tokenize, TokenizeConfig(seq_len=64), corpus=corpus, tokenizer=vocabulary)
    config = PretrainConfig.model_validate({**PRETRAIN, "documents": documents})
    model = graph.add(pretrain, config, tokens=tokens, tokenizer=vocabulary)
    graph.add(sft, SftConfig.model_validate(SFT), corpus=corpus, base=model)
    return graph


@pytest.fixture(params=["joined", "separate"])
def documents(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    graph = graph_of(request.param)
    monkeypatch.setattr("flows.cli.batches.in_graph", lambda *_: graph)
    return request.param


@pytest.fixture
def built(home: Path) -> dict[str, Artifact]:
    return build_corpus(home / "lake")[1]


def test_a_step_of_pretraining_is_what_the_trainer_gets(documents: str, built: dict[str, Artifact]) -> None:
    found = data("sample", "batches", "--step", "7", "-n", "3")
    config = PretrainConfig.model_validate({**PRETRAIN, "documents": documents})
    assert pretrain.batches is not None
    batch_of, loaded = pretrain.batches(config, {"tokens": built["tokenize"], "tokenizer": built["tokenizer"]})
    batch = batch_of(7)
    assert (found["node"], found["step"], len(found["rows"])) == ("pretrain", 7, 3)
    for row, inputs, targets in zip(found["rows"], batch.inputs.tolist(), batch.targets.tolist(), strict=False):
        ids = [token for document in row["documents"] for token in document["input_ids"]]
        goals = [token for document in row["documents"] for token in document["target_ids"]]
        assert ids == inputs[: len(ids)]
        assert goals == targets[: len(ids)]
        assert len(ids) + row["padding"] == 128
        for document in row["documents"]:
            assert document["input"] == loaded.decode(document["input_ids"])
            if documents == "separate":
                assert document["input_ids"].count(loaded.bos) <= 1
                assert not any(token == loaded.bos for token in document["target_ids"])
    shown = textmill("sample", "batches", "--step", "7", "-n", "1")
    assert "row 0: " in shown
    assert "row 1: " not in shown
    assert "input" in shown
    assert "target" in shown
    assert "step 7 of pretrain: 4 rows" in notes("sample", "batches", "--step", "7")


def test_a_step_of_fine_tuning_shows_what_is_not_learned(
    documents: str, home: Path, built: dict[str, Artifact]
) -> None:
    config = PretrainConfig.model_validate({**PRETRAIN, "documents": documents})
    make(pretrain, Lake(home / "lake"), config, built)
    (row, *_) = data("sample", "batches", "--node", "sft", "-n", "1")["rows"]
    (document,) = row["documents"]
    assert document["input"].startswith("<|bos|><|user|>")
    asked, answer = document["input"].split("<|assistant|>")
    hidden, learned = document["target"].split(" not learned]")
    assert learned == f"{answer}<|eos|>"
    assert int(hidden.strip("[")) == document["target_ids"].count(None) > 0
    assert asked not in document["target"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--step", "20"], "pretrain has 20 steps, so its last one is step 19, not 20"),
        (["--node", "tokenizer"], "tokenizer has no batches to show; these have: pretrain, sft"),
        (["--node", "sft"], "made from pretrain, which the lake does not have as this recipe wants it"),
        (["--step", "-1"], "--step"),
    ],
)
def test_what_cannot_be_shown_is_a_sentence(
    documents: str, built: dict[str, Artifact], arguments: list[str], words: str
) -> None:
    assert words in textmill("sample", "batches", *arguments, code=2).replace("\n", " ")


def test_an_empty_lake_says_what_makes_the_tokens(documents: str, home: Path) -> None:
    said = textmill("sample", "batches", code=2)
    assert "`textmill run demo --until tokenize`" in said


def test_a_node_of_the_demo_that_is_not_there(home: Path) -> None:
    assert "Did you mean pretrain?" in textmill("sample", "batches", "--node", "pretrian", code=2)


@pytest.fixture
def bytewise() -> Tokenizer:
    from model.tokenizer import specials_after

    return Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", specials_after(256, 8))


def test_text_is_never_mistaken_for_a_special_token_or_for_the_terminals_own(
    bytewise: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "[red]see\x1b[2J <|eos|>"
    ids = [bytewise.bos, *bytewise.encode(text), bytewise.eos]
    assert [(piece.kind, piece.text) for piece in pieces([*ids, None, None], bytewise)] == [
        ("special", "<|bos|>"),
        ("text", "[red]see\x1b[2J \\<|eos|>"),
        ("special", "<|eos|>"),
        ("unlearned", "[2 not learned]"),
    ]
    batch = Batch(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]]))

    monkeypatch.setattr("flows.cli.batches.in_graph", lambda *_: graph_of("joined"))
    monkeypatch.setattr("flows.cli.batches._reader", lambda *_: (lambda step: batch, bytewise))
    shown = textmill("sample", "batches")
    assert "<|bos|>[red]see·[2J \\<|eos|>" in shown
    assert "\x1b" not in shown
    assert "…" in textmill("sample", "batches", "--characters", "9")


def test_the_source_of_an_encoder_decoder_stands_beside_what_it_writes(
    bytewise: Tokenizer, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    batch = pair_batch([pair_ids(bytewise, "one two", "12"), pair_ids(bytewise, "seven", "7")], bytewise.pad)
    monkeypatch.setattr("flows.cli.batches.in_graph", lambda *_: graph_of("joined"))
    monkeypatch.setattr("flows.cli.batches._reader", lambda *_: (lambda step: batch, bytewise))
    first, second = (row["documents"][0] for row in data("sample", "batches")["rows"])
    assert (first["source"], first["input"], first["target"]) == ("one two<|eos|>", "<|bos|>12", "12<|eos|>")
    assert (second["source"], second["input"], second["target"]) == ("seven<|eos|>", "<|bos|>7", "7<|eos|>")
    (heads,) = [line.split() for line in textmill("sample", "batches", "-n", "1").splitlines() if "position" in line]
    assert heads == ["position", "source", "input", "target"]


def test_rows_are_parted_where_documents_begin(bytewise: Tokenizer) -> None:
    a, bos, pad = ord("a"), bytewise.bos, bytewise.pad
    inputs = torch.tensor([[a, bos, a, a, bos, a]])
    (row,) = shown_rows(Batch(inputs, inputs), bytewise)
    assert [document["start"] for document in row["documents"]] == [0, 1, 4]
    targets = torch.tensor([[a, a, a, a, IGNORE, IGNORE]])
    packed = Batch(torch.tensor([[bos, a, bos, a, pad, pad]]), targets, documents=torch.tensor([[0, 0, 1, 1, -1, -1]]))
    (row,) = shown_rows(packed, bytewise)
    assert [(document["start"], len(document["input_ids"])) for document in row["documents"]] == [(0, 2), (2, 2)]
    assert (row["tokens"], row["padding"]) == (4, 2)
    (row,) = shown_rows(Batch(inputs, inputs, torch.tensor([3])), bytewise)
    assert (row["tokens"], row["padding"]) == (3, 3)
