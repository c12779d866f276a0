"""Adapters equal peft's: its files load here and ours there, with the same logits, losses and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from model.adapter import Adapter
from model.gpt import GPT
from model.lora import adapt, adapted, load_adapter, save_adapter
from model.shape import GPTConfig

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

pytestmark = pytest.mark.parity
IDS = torch.randint(0, 100, (2, 40), generator=torch.Generator().manual_seed(0))
SHAPE = GPTConfig(vocab_size=100, n_layer=2, n_head=4, n_kv_head=2, d_model=64, d_ff=64, max_seq_len=64)


def networks() -> tuple[GPT, Any]:
    """The same network twice: ours and transformers'."""
    ours = GPT(SHAPE).initialise(1).eval()
    config = transformers.LlamaConfig(
        vocab_size=100,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.model.load_state_dict(ours.state_dict())
    return ours, theirs


def loss(logits: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())


@pytest.mark.parametrize(
    "fields",
    [{}, {"rslora": True}, {"dora": True}, {"dora": True, "rslora": True, "targets": ("q_proj", "up_proj")}],
    ids=["lora", "rslora", "dora", "both"],
)
def test_logits_losses_gradients_and_files_are_pefts(tmp_path: Path, fields: dict[str, Any]) -> None:
    ours, theirs = networks()
    adapter = Adapter(rank=4, alpha=8, **fields)
    adapt(ours, adapter, seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for _, module in adapted(ours):
            module.lora_B.normal_(0, 0.1, generator=generator)
            if module.magnitude is not None:
                module.magnitude.mul_(1.3)
    save_adapter(ours, adapter, tmp_path / "ours")
    theirs = peft.PeftModel.from_pretrained(theirs, tmp_path / "ours").eval()
    torch.testing.assert_close(ours(IDS), theirs(IDS).logits, atol=1e-6, rtol=1e-5)

    for name, weight in theirs.named_parameters():
        weight.requires_grad_("lora" in name)
    mine, other = loss(ours(IDS)), loss(theirs(IDS).logits)
    assert mine.item() == pytest.approx(other.item(), abs=1e-6)
    mine.backward()
    other.backward()
    gradients = {name.replace(".default", ""): weight.grad for name, weight in theirs.named_parameters()}
    for name, module in adapted(ours):
        for part in ("lora_A", "lora_B"):
            expected = gradients[f"base_model.model.model.{name}.{part}.weight"]
            torch.testing.assert_close(getattr(module, part).grad, expected, atol=1e-6, rtol=1e-4)

    theirs.save_pretrained(tmp_path / "theirs")
    back, _ = networks()
    load_adapter(back, tmp_path / "theirs")
    assert torch.equal(back(IDS), ours(IDS))
