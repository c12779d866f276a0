"""model/headed.py: one state stands for a text, whatever its padding; what is frozen stays; folders keep the head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model.adapter import Adapter
from model.batches import Batch
from model.folder import load_headed, load_model, save_model
from model.gpt import GPT
from model.headed import Headed
from model.lora import adapt
from model.objectives import Pooling, Trained
from model.shape import GPTConfig

SMALL = GPTConfig(vocab_size=50, n_layer=2, n_head=2, n_kv_head=2, d_model=16, d_ff=24, max_seq_len=24)
IDS = torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(0))


def base(network: str = "decoder", tied: bool = True) -> GPT:
    return GPT(SMALL.model_copy(update={"network": network, "tie_embeddings": tied})).initialise(1).eval()


@pytest.mark.parametrize(
    ("network", "pooling"),
    [("decoder", "last"), ("decoder", "mean"), ("encoder", "first"), ("encoder", "mean"), ("encoder", "last")],
)
def test_padding_does_not_count(network: str, pooling: Pooling) -> None:
    model = Headed.over(base(network), 3, pooling, seed=2).eval()
    padded = model.scores(Batch(IDS, IDS, lengths=torch.tensor([12, 7])))
    assert padded.shape == (2, 3)
    torch.testing.assert_close(padded[0], model.scores(Batch(IDS[:1], IDS[:1]))[0])
    torch.testing.assert_close(padded[1], model.scores(Batch(IDS[1:, :7], IDS[1:, :7]))[0])


def test_the_body_is_the_base_models() -> None:
    for tied in (True, False):
        trained = base(tied=tied)
        model = Headed.over(trained, 2, "last", seed=2)
        torch.testing.assert_close(model.hidden(IDS), trained.hidden(IDS))
        assert torch.equal(model.head.weight, Headed.over(trained, 2, "last", seed=2).head.weight)
        assert not torch.equal(model.head.weight, Headed.over(trained, 2, "last", seed=3).head.weight)


def test_the_first_token_of_a_decoder_is_refused() -> None:
    with pytest.raises(ValueError, match="seen nothing of the text"):
        Headed.over(base(), 2, "first", seed=0)


@pytest.mark.parametrize(
    ("what", "begins"),
    [("all", ("",)), ("last_block", ("head", "norm", "layers.1")), ("head", ("head",))],
)
def test_only_what_is_named_is_trained(what: Trained, begins: tuple[str, ...]) -> None:
    model = Headed.over(base(), 2, "last", seed=0)
    model.train_only(what)
    for name, weight in model.named_parameters():
        assert weight.requires_grad == name.startswith(begins), name


def test_with_an_adapter_the_head_is_trained_too() -> None:
    model = Headed.over(base(), 2, "last", seed=0)
    adapt(model, Adapter(rank=2), seed=0)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {"head.weight", "head.bias"} == {name for name in trained if "lora_" not in name}


def test_a_folder_keeps_the_head(tmp_path: Path) -> None:
    model = Headed.over(base(), 3, "mean", seed=2).eval()
    save_model(model, tmp_path, labels=["a", "b", "c"])
    again, described = load_headed(tmp_path)
    assert torch.equal(again.scores(Batch(IDS, IDS)), model.scores(Batch(IDS, IDS)))
    assert described["labels"] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="has a head for labels or rewards"):
        load_model(tmp_path)
    save_model(base(), tmp_path / "plain")
    with pytest.raises(ValueError, match="has no head; train one with classify or reward"):
        load_headed(tmp_path / "plain")
