"""Parity with `transformers`: a model of each family has the same logits after coming in, and after leaving again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.gpt import GPT
from model.huggingface.config import config_from, config_to
from model.huggingface.folder import read_folder
from model.huggingface.weights import read_model, weights_for_export
from model.shape import GPTConfig
from tests.hugging_face import CONFIGS, VOCAB, save

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("one_thread")]
transformers = pytest.importorskip("transformers")

IDS = torch.arange(2 * 32).view(2, 32) * 7 % VOCAB


@torch.inference_mode()
def difference(ours: GPT, theirs: torch.nn.Module) -> float:
    expected = theirs(IDS).logits
    assert expected.std() > 0.1, "logits that hardly differ would agree by accident"
    return float((ours(IDS) - expected).abs().max())


def leave(model: GPT, folder: Path) -> torch.nn.Module:
    """Write weights and config as the export does, and open them with `transformers`."""
    folder.mkdir()
    save_file(weights_for_export(model), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config_to(model.config, bos=1, eos=2, pad=3)))
    opened, said = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(said.values()), said
    return opened.eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_in_and_out_again(name: str, tmp_path: Path) -> None:
    theirs = save(name, tmp_path / "in")
    ours = read_model(read_folder(tmp_path / "in"))
    assert difference(ours, theirs) < 1e-5
    assert difference(ours, leave(ours, tmp_path / "out")) < 1e-5


@pytest.mark.parametrize(
    "shape",
    [
        {"family": "llama"},
        {"family": "llama", "tie_embeddings": False, "n_kv_head": 1, "d_head": 6},
        {"family": "qwen3", "n_kv_head": 1, "rope_theta": 1e6},
        {"family": "gpt2", "dropout": 0.1},
        {"family": "gpt2", "tie_embeddings": False, "norm_eps": 1e-3},
    ],
    ids=lambda shape: "-".join(map(str, shape.values())),
)
def test_logits_of_our_own_models_that_leave(shape: dict[str, object], tmp_path: Path) -> None:
    config = GPTConfig(
        vocab_size=VOCAB, n_layer=2, n_head=2, d_model=16, d_ff=24, max_seq_len=32, **{"n_kv_head": 2, **shape}
    )
    model = GPT(config).initialise(0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8) if parameter.dim() > 1 else parameter.add_(0.1)
    opened = leave(model, tmp_path / "out")
    assert difference(model, opened) < 1e-5
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config_from(written) == config.model_copy(update={"dropout": 0.0})


@pytest.mark.parametrize("kind", ["half", "bfloat16"])
def test_weights_of_half_the_size_become_float32(kind: str, tmp_path: Path) -> None:
    getattr(save("llama", tmp_path), kind)().save_pretrained(tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    folder = read_folder(tmp_path)
    assert folder.tensors is not None
    assert "F32" not in {stored.dtype for stored in folder.tensors.values()}
    ours = read_model(folder)
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}
    assert difference(ours, theirs) < 1e-5


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_parts_and_pickles_are_read_as_one_file_is(name: str, tmp_path: Path) -> None:
    theirs = save(name, tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "parts", max_shard_size="4KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 2
    assert difference(read_model(read_folder(tmp_path / "parts")), theirs) < 1e-5
    (tmp_path / "whole" / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), tmp_path / "whole" / "pytorch_model.bin")
    assert difference(read_model(read_folder(tmp_path / "whole")), theirs) < 1e-5
    torch.save(theirs.state_dict(), tmp_path / "whole" / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert difference(read_model(read_folder(tmp_path / "whole")), theirs) < 1e-5


def test_the_names_of_the_first_gpt2_are_read_too(tmp_path: Path) -> None:
    """Its tensors have no prefix, a causal mask beside each layer, and the head once more."""
    theirs = save("gpt2", tmp_path)
    tensors = {name.removeprefix("transformer."): tensor.clone() for name, tensor in theirs.state_dict().items()}
    tensors |= {f"h.{layer}.attn.bias": torch.ones(1, 1, 32, 32).tril() for layer in range(2)}
    save_file(tensors, tmp_path / "model.safetensors")
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**described, "n_ctx": 32, "torch_dtype": "float32"}))
    assert "lm_head.weight" in tensors
    assert difference(read_model(read_folder(tmp_path)), theirs) < 1e-5


def test_configs_of_transformers_4_are_read_too(tmp_path: Path) -> None:
    theirs = save("llama-grouped-stretched", tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    rope = described.pop("rope_parameters")
    described |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": {**rope, "type": rope.pop("rope_type")}}
    for name in ("head_dim", "attention_bias", "mlp_bias", "dtype"):
        described.pop(name)
    (tmp_path / "config.json").write_text(json.dumps(described))
    assert difference(read_model(read_folder(tmp_path)), theirs) < 1e-5


def test_a_shorter_context_computes_the_same_within_it(tmp_path: Path) -> None:
    for name in ("gpt2", "qwen3"):
        theirs = save(name, tmp_path / name)
        folder = read_folder(tmp_path / name)
        ours = read_model(folder, config_from(folder.config).model_copy(update={"max_seq_len": 16}))
        with torch.inference_mode():
            assert float((ours(IDS[:, :16]) - theirs(IDS[:, :16]).logits).abs().max()) < 1e-5
