"""The hardware of a training run: device, precision, threads, memory, and the peak speed if it is known."""

from __future__ import annotations

import contextlib
import ctypes
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from model.cores import usable_cores

SHAPES_NO_RESULT = "chooses how to compute, which is execution: another device rounds otherwise and is not in the key"

# Dense bfloat16 peak in FLOP/s, from the vendors' data sheets (without sparsity), by the name the driver reports.
PEAK_BFLOAT16 = {
    "NVIDIA A100": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
    "NVIDIA H200 NVL": 835e12,
    "NVIDIA B200": 2250e12,
    "NVIDIA L4": 121e12,
    "NVIDIA L40S": 362e12,
}


def choose_device(name: str) -> torch.device:
    """Return the device for a setting: auto = CUDA if available, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"The device {name!r} is none that torch knows; use auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"The device {name!r} is set, but torch finds no CUDA device here; use auto or cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise ValueError(f"The device {name!r} is set, but torch finds {there} CUDA devices here, counted from 0.")
    if device.type not in ("cpu", "cuda"):
        try:
            torch.zeros(1, device=device).cpu()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(
                f"The device {name!r} is set, but torch cannot compute on one here; use auto or cpu."
            ) from error
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of matrix products: bfloat16 if the hardware multiplies in it, else float32.

    On CPUs that is AVX-512 BF16 or AMX: a 4.5 M model trains 2.0 × as fast with it on an AVX-512 BF16 core, and
    several times slower than float32 on a core that has to emulate it.
    """
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device.type == "cpu" and _cpu_multiplies_bfloat16() else torch.float32


def _cpu_multiplies_bfloat16() -> bool:
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(flags.split()))


def tokens_at_once(device: torch.device) -> int:
    """Return how many tokens a forward pass without gradients should read at once: all that suit a GPU; on a CPU, as
    many as each thread's cache holds the states of.

    A 4.5 M model scores HellaSwag with 1,024 tokens at once in 2.7 s of one core, with 8,192 in 3.8 s, and MMLU in 3.5
    instead of 4.7 s.
    """
    return 1024 * torch.get_num_threads() if device.type == "cpu" else 8192


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Compute with this number of CPU threads (0 = one per usable core, at most 8), and keep freed memory meanwhile."""
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(number or min(8, usable_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks instead of returning them to the kernel.

    Otherwise activations of a few MB are mapped and zeroed again in every step: 20 % of a step's time on a small model
    (5.6 k → 7.1 k tokens per CPU second). Other C libraries have no mallopt and are left unchanged.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3
        mallopt(m_mmap_threshold, 1 << 30)
        mallopt(m_trim_threshold, (1 << 31) - 1)


def peak_memory(device: torch.device) -> int:
    """Return the peak memory so far, in bytes: of the GPU's allocator, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """Return the device's dense peak in FLOP/s, or None if it is unknown: a guess would make the MFU meaningless.

    The longest entry that the device's name begins with is used, because boards with the same chip differ by a third.
    The entry must end at the end of a word of the name, or an L40 would be taken for an L4.
    """
    if device.type != "cuda" or dtype != torch.bfloat16:
        return None
    name = torch.cuda.get_device_name(device)
    known = [entry for entry in PEAK_BFLOAT16 if re.match(rf"{re.escape(entry)}(?![A-Za-z0-9])", name)]
    return PEAK_BFLOAT16[max(known, key=len)] if known else None
