"""model/lora.py: an adapter starts as nothing, learns alone, merges exactly, and comes back from its files.

Also covers: model/adapter.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from model.adapter import Adapter
from model.gpt import GPT
from model.lora import adapt, adapted, adapters_off, load_adapter, merge, save_adapter, trainable_share
from model.shape import GPTConfig

SMALL = GPTConfig(vocab_size=50, n_layer=2, n_head=4, n_kv_head=4, d_model=32, d_ff=48, max_seq_len=24)
IDS = torch.randint(0, 50, (2, 20), generator=torch.Generator().manual_seed(0))
KINDS: list[dict[str, Any]] = [{}, {"rslora": True}, {"dora": True}, {"rslora": True, "dora": True}]


def learned(family: str = "llama", **fields: Any) -> tuple[GPT, Adapter]:
    """A network with adapters that have left their start."""
    adapter = Adapter(rank=3, alpha=6, **fields)
    model = adapt(GPT(SMALL.model_copy(update={"family": family})).initialise(1).eval(), adapter, seed=2)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, module in adapted(model):
            module.lora_B.normal_(0, 0.1, generator=generator)
            if module.magnitude is not None:
                module.magnitude.mul_(1.2)
    return model, adapter


@pytest.mark.parametrize("fields", KINDS)
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_a_new_adapter_changes_nothing_and_a_merged_one_does_the_same(family: str, fields: dict[str, Any]) -> None:
    plain = GPT(SMALL.model_copy(update={"family": family})).initialise(1).eval()
    before = plain(IDS)
    torch.testing.assert_close(adapt(plain, Adapter(**fields), seed=0)(IDS), before, atol=1e-6, rtol=1e-6)
    model, _ = learned(family, **fields)
    changed = model(IDS)
    assert not torch.allclose(changed, before, atol=1e-3)
    merge(model)
    assert not list(adapted(model))
    assert set(model.state_dict()) == set(GPT(model.config).state_dict())
    torch.testing.assert_close(model(IDS), changed, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("fields", KINDS)
def test_only_the_adapters_learn(fields: dict[str, Any]) -> None:
    model, _ = learned(**fields)
    model(IDS).sum().backward()
    trained = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained == {name for name, weight in model.named_parameters() if "lora_" in name or "magnitude" in name}
    assert 0 < trainable_share(model) < 0.2
    merge(model)
    assert trainable_share(model) == 1


@pytest.mark.parametrize("fields", KINDS)
def test_files_bring_the_adapter_back(tmp_path: Path, fields: dict[str, Any]) -> None:
    model, adapter = learned(targets=("q_proj", "down_proj"), **fields)
    save_adapter(model, adapter, tmp_path)
    again = GPT(SMALL).initialise(1).eval()
    found = load_adapter(again, tmp_path)
    assert (found.rank, found.alpha, found.rslora, found.dora) == (3, 6, adapter.rslora, adapter.dora)
    assert set(found.targets) == {"q_proj", "down_proj"}
    assert torch.equal(again(IDS), model(IDS))


def test_dropout_works_in_training_only() -> None:
    model, _ = learned(dropout=0.5)
    assert torch.equal(model(IDS), model(IDS))
    model.train()
    assert not torch.equal(model(IDS), model(IDS))


def test_the_same_seed_starts_the_same_adapter() -> None:
    one, same, other = (adapt(GPT(SMALL).initialise(1), Adapter(), seed).state_dict() for seed in (4, 4, 5))
    name = "layers.0.self_attn.q_proj.lora_A"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model, adapter = learned()
    with pytest.raises(ValueError, match="has adapters already"):
        adapt(model, adapter, 0)
    gpt2 = GPT(SMALL.model_copy(update={"family": "gpt2"}))
    with pytest.raises(ValueError, match=r"none of the adapter's targets \(gate_proj\); a gpt2 has down_proj, k_proj"):
        adapt(gpt2, Adapter(targets=("gate_proj",)), 0)
    with pytest.raises(FileNotFoundError, match=r"adapter_config.json is missing"):
        load_adapter(GPT(SMALL), tmp_path)
    save_adapter(model, adapter, tmp_path)
    with pytest.raises(ValueError, match="is not for this network"):
        load_adapter(GPT(SMALL.model_copy(update={"d_ff": 64})), tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="cannot be read"):
        load_adapter(GPT(SMALL), tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4}))
    with pytest.raises(ValueError, match="cannot be read"):
        load_adapter(GPT(SMALL), tmp_path)


@pytest.mark.parametrize("fields", [{}, {"dora": True}])
def test_with_its_adapters_off_the_network_is_the_one_before(fields: dict[str, Any]) -> None:
    before = GPT(SMALL).initialise(1).eval()(IDS)
    model, _ = learned(**fields)
    changed = model(IDS)
    with adapters_off(model):
        torch.testing.assert_close(model(IDS), before, atol=0, rtol=0)
    torch.testing.assert_close(model(IDS), changed, atol=0, rtol=0)
