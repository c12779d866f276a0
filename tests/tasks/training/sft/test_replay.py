"""tasks/training/sft/replay.py: each step also reads rows of the training pages, all of whose tokens are learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data_lake.store.lake import Artifact
from data_lake.tokens.loader import TokenDataset
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import PermanentError, local_output
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.sft import SftConfig, sft
from tests.tasks.pydoc_corpus import PRETRAIN, SFT, build_corpus, make

CONTEXT = PRETRAIN["model"]["max_seq_len"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    words = make(tokenizer, lake, TokenizerConfig(vocab_size=320), built).artifact
    built["others"] = make(tokenize, lake, TokenizeConfig(seq_len=64), {**built, "tokenizer": words}).artifact
    built["pretrain"] = make(pretrain, lake, PretrainConfig.model_validate(PRETRAIN), built).artifact
    return built


def inputs(given: dict[str, Artifact]) -> dict[str, Artifact]:
    return {"corpus": given["decontaminate"], "base": given["pretrain"], "tokens": given["tokenize"]}


@pytest.mark.parametrize("packed", [False, True])
def test_each_window_of_the_training_pages_is_read_once_per_epoch(given: dict[str, Artifact], packed: bool) -> None:
    text = TokenDataset(given["tokenize"].path, "train", seq_len=CONTEXT)
    rows = 2
    steps = len(text) // rows
    asked = SftConfig.model_validate({**SFT, "packed": packed, "replay": rows})
    batch_of, _ = sft.batches(asked, inputs(given))  # type: ignore[misc]
    alone, _ = sft.batches(SftConfig.model_validate({**SFT, "packed": packed}), inputs(given))  # type: ignore[misc]
    read = []
    for step in range(steps):
        batch = batch_of(step)
        assert len(batch.inputs) == 4 + rows
        assert batch.inputs.shape[1] == CONTEXT
        pairs = alone(step)
        assert torch.equal(batch.targets[:4, : pairs.targets.shape[1]], pairs.targets)
        read += [
            [int(row[0]), *targets.tolist()] for row, targets in zip(batch.inputs[4:], batch.targets[4:], strict=True)
        ]
    windows = [text.window(number).tolist() for number in range(len(text))]
    assert all(row in windows for row in read)
    assert len({tuple(row) for row in read}) == len({tuple(row) for row in windows}) - len(text) % rows


def test_what_is_read_again_is_forgotten_less(given: dict[str, Artifact], tmp_path: Path) -> None:
    from model.batches import Batch
    from model.validation import validation_loss
    from tasks.training.trained import load_trained

    text = TokenDataset(given["tokenize"].path, "val", seq_len=CONTEXT)
    batch = Batch.of_windows(text.batch(range(len(text))))
    losses = {}
    for rows in (0, 2):
        out = local_output(tmp_path / str(rows))
        config = {**SFT, "training": {"steps": 30, "batch_size": 4, "learning_rate": 1e-2}, "replay": rows}
        sft(SftConfig.model_validate(config), out, **inputs(given))
        assert out.counts.get("tokens_replayed", 0) == 30 * rows * CONTEXT
        made = Artifact("sft", "0", out.dir, given["pretrain"].manifest)
        model, words = load_trained(made)
        losses[rows] = validation_loss(model, [batch], words.token_bytes())["loss"]
    assert losses[2] < losses[0] - 0.1


def test_text_that_cannot_be_read(given: dict[str, Artifact], tmp_path: Path) -> None:
    asked = SftConfig.model_validate({**SFT, "replay": 1})
    out = local_output(tmp_path)
    with pytest.raises(PermanentError, match="was given none"):
        sft(asked, out, given["decontaminate"], given["pretrain"])
    with pytest.raises(PermanentError, match="another tokenizer than the model's"):
        sft.batches(asked, {**inputs(given), "tokens": given["others"]})  # type: ignore[misc]
