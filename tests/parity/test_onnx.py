"""Parity with onnxruntime, which opens what leaves as ONNX: the same logits for every batch and length.

Also covers: model/onnx_network.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model import onnx_network as writing
from model.gpt import GPT
from model.onnx_network import OnnxNetwork, prove_onnx, write_onnx
from model.scoring import Scorer
from model.shape import GPTConfig
from tests.model.huggingface.folders import SHAPES, config_of, model_of

pytestmark = pytest.mark.parity
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.mark.slow
@pytest.mark.parametrize("family", SHAPES)
def test_every_family_computes_the_same(family: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = model_of(family, vocab_size=50, n_head=2, n_kv_head=2 if family == "gpt2" else 1, n_layer=2, d_model=16)
    network.train()
    write_onnx(network, tmp_path / "model.onnx")
    assert network.training
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    opened = OnnxNetwork(tmp_path / "model.onnx")
    assert prove_onnx(opened, network) < 1e-5
    ids = np.arange(3 * 16).reshape(3, 16)
    with torch.inference_mode():
        assert np.abs(opened.logits(ids) - network.eval()(torch.from_numpy(ids)).numpy()).max() < 1e-5
    pair = ([1, 2], [3, 4, 5])
    ours = Scorer(network, lambda _: [], 0).score_ids([pair])[0].log_likelihood
    assert opened.log_likelihood(*pair) == pytest.approx(ours, abs=1e-4)
    other = model_of(family, vocab_size=50, n_head=2, n_kv_head=2 if family == "gpt2" else 1, n_layer=2, d_model=16)
    with torch.no_grad():
        other.norm.weight.mul_(2)
    with pytest.raises(ValueError, match="onnxruntime's logits differ by"):
        prove_onnx(opened, other)
    assert capfd.readouterr().out == ""


def test_what_it_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = GPTConfig(**{**config_of("llama").model_dump(), "network": "encoder"})
    with pytest.raises(ValueError, match="encoder does not leave as ONNX"):
        write_onnx(GPT(encoder), tmp_path / "model.onnx")
    monkeypatch.setattr(writing, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="holds 10 at most"):
        write_onnx(model_of("llama"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
