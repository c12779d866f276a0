"""How many bits xz at its strongest setting needs for the same text, alone and after the training text."""

from __future__ import annotations

import lzma
from collections.abc import Iterable

PRESET = 9 | lzma.PRESET_EXTREME
"""Same as `xz -9e` on the command line: a window of 64 MiB."""


def xz_bits_per_byte(texts: Iterable[str]) -> float:
    """Return the bits per byte of `xz -9e` on the texts, joined by newlines."""
    data = _joined(texts)
    return 8 * len(lzma.compress(data, preset=PRESET)) / len(data)


def primed_xz_bits_per_byte(texts: Iterable[str], training: Iterable[str]) -> float:
    """Return the bits per byte that the texts add to the training texts in one `xz -9e` stream.

    xz can copy from any text in its window of 64 MiB, just as the model can remember its training text.
    """
    data, before = _joined(texts), _joined(training)
    alone = len(lzma.compress(before, preset=PRESET))
    return 8 * (len(lzma.compress(before + data, preset=PRESET)) - alone) / len(data)


def _joined(texts: Iterable[str]) -> bytes:
    return "".join(text + "\n" for text in texts).encode("utf-8")
