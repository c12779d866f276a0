"""model/hardware.py: what is unknown is None, and a wrong device is a sentence."""

from __future__ import annotations

import pytest
import torch

from model import hardware


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40", None),
        ("NVIDIA GeForce RTX 9090", None),
    ],
)
def test_only_known_devices_have_a_peak(name: str, peak: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert hardware.peak_flops(torch.device("cuda"), torch.bfloat16) == peak
    assert hardware.peak_flops(torch.device("cuda"), torch.float32) is None
    assert hardware.peak_flops(torch.device("cpu"), torch.bfloat16) is None


def test_a_wrong_device_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="'tpu0' is none that torch knows"):
        hardware.choose_device("tpu0")


def test_precision_is_what_was_asked_for() -> None:
    cpu = torch.device("cpu")
    assert hardware.choose_dtype("float32", cpu) == torch.float32
    assert hardware.choose_dtype("bfloat16", cpu) == torch.bfloat16


def test_memory_is_positive() -> None:
    assert hardware.peak_memory(torch.device("cpu")) > 1e6


def test_threads_are_set_for_a_while_and_decide_how_much_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, before = torch.device("cpu"), torch.get_num_threads()
    with hardware.torch_threads(3):
        assert torch.get_num_threads() == 3
        assert hardware.tokens_at_once(cpu) == 3 * 1024
    assert torch.get_num_threads() == before
    monkeypatch.setattr(hardware, "usable_cores", lambda: 64)
    with hardware.torch_threads(0):
        assert torch.get_num_threads() == 8
    assert torch.get_num_threads() == before
    assert hardware.tokens_at_once(torch.device("cuda")) == 8192
