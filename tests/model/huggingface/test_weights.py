"""model/huggingface/weights.py: weights come back bit for bit; pickles run no code, and NaN is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from model.huggingface.config import config_from
from model.huggingface.folder import NoModelFolder, read_folder
from model.huggingface.weights import read_model, weights_for_export
from tests.model.huggingface.folders import SHAPES, config_of, model_of, write


@pytest.mark.parametrize("family", SHAPES)
def test_weights_come_back_bit_for_bit(family: str, tmp_path: Path) -> None:
    write(tmp_path, family)
    model, expected = read_model(read_folder(tmp_path)), model_of(family)
    assert not model.training
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in expected.state_dict().items())
    assert dict.fromkeys(weights_for_export(model), tmp_path / "model.safetensors") == {
        name: stored.file for name, stored in (read_folder(tmp_path).tensors or {}).items()
    }


class Runs:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch was-run",)


def pickled(folder: Path, content: object, **options: Any) -> None:
    """Put a PyTorch file in the place of the safetensors."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    torch.save(content, folder / "pytorch_model.bin", **options)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_asks_to_run_code_runs_none(new: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tensors = write(tmp_path)
    pickled(tmp_path, {**tensors, "evil": Runs()}, _use_new_zipfile_serialization=new)
    with pytest.raises(NoModelFolder, match=r"asks to run (posix|os)\.system when it is loaded, which is not done"):
        read_model(read_folder(tmp_path))
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds a list and no weights by name"),
        ({"model": {"a": torch.zeros(1)}, "step": 3}, "has a dict as 'model'; only tensors by name can be imported"),
        ({3: torch.zeros(1)}, "has a Tensor as 3"),
        ({"model.norm.weight": torch.zeros(8)}, "11 of 12 tensors are missing"),
        ({"a": torch.zeros(8, dtype=torch.int8)}, r"no floating-point numbers .* a \(torch\.int8\)"),
    ],
)
def test_other_pickles_are_refused(content: object, words: str, tmp_path: Path) -> None:
    write(tmp_path)
    pickled(tmp_path, content)
    with pytest.raises(NoModelFolder, match=words):
        read_model(read_folder(tmp_path))


@pytest.mark.parametrize("data", [b"", b"\x80\x02.", b"no pickle at all", b"PK\x03\x04 no zip"])
def test_a_damaged_pytorch_file_is_named(data: bytes, tmp_path: Path) -> None:
    write(tmp_path)
    pickled(tmp_path, {})
    (tmp_path / "pytorch_model.bin").write_bytes(data)
    with pytest.raises(NoModelFolder, match=r"pytorch_model\.bin"):
        read_model(read_folder(tmp_path))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_named(value: float, tmp_path: Path) -> None:
    tensors = write(tmp_path, "gpt2")
    tensors["transformer.h.0.attn.c_attn.weight"][2, 3] = value
    tensors["transformer.ln_f.bias"][:2] = value
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(NoModelFolder, match=r"not finite: .*c_attn\.weight \(1 values\), .*ln_f\.bias \(2 values\)"):
        read_model(read_folder(tmp_path))


def test_a_tied_head_must_be_the_embedding(tmp_path: Path) -> None:
    tensors = write(tmp_path, "gpt2")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    assert read_model(read_folder(tmp_path)).lm_head is None
    tensors["lm_head.weight"][0, 0] += 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(NoModelFolder, match="set it to false there"):
        read_model(read_folder(tmp_path))
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**described, "tie_word_embeddings": False}))
    assert read_model(read_folder(tmp_path)).lm_head is not None


@pytest.mark.parametrize("family", SHAPES)
def test_added_rows_are_the_mean_and_the_others_stay(family: str, tmp_path: Path) -> None:
    write(tmp_path, family)
    folder = read_folder(tmp_path)
    grown = read_model(folder, config_from(folder.config).model_copy(update={"vocab_size": 23}))
    ids = torch.arange(16)[None]
    with torch.inference_mode():
        before, after = model_of(family)(ids), grown(ids)
    assert torch.allclose(before, after[..., :20], atol=1e-6)
    assert torch.allclose(grown.output_weight[20:], grown.output_weight[:20].mean(0).expand(3, -1))
    # exp of a mean is at most the mean of exp: a row that is the mean gets at most one in the number of the others
    shares = after.softmax(-1)[..., 20:] / after.softmax(-1)[..., :20].sum(-1, keepdim=True)
    assert float(shares.max()) <= 1 / 20 + 1e-6


def test_fewer_rows_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match="20 token ids cannot become 19"):
        read_model(read_folder(tmp_path), config_of("llama", vocab_size=19))
