"""The peak memory of a process, as Linux counts it: of this program alone, and from a moment that a test chooses.

`getrusage` is no use for either: its peak is inherited over fork and exec, so a small program that a big test process
starts looks as big, and it never goes down, so what came before hides what is measured.
"""

from __future__ import annotations

from pathlib import Path


def peak_megabytes() -> float:
    """Most resident memory since this program began, or since `forget_peak`."""
    return _status("VmHWM")


def resident_megabytes() -> float:
    """Resident memory now."""
    return _status("VmRSS")


def forget_peak() -> None:
    """From here on the peak is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024
