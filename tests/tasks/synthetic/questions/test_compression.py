"""tasks/synthetic/questions/compression.py: bits per byte are the compressor's, and seen text costs less."""

from __future__ import annotations

import lzma
import random

import pytest

from tasks.synthetic.questions.compression import primed_xz_bits_per_byte, xz_bits_per_byte


def test_xz_alone_and_primed() -> None:
    rng = random.Random(0)
    text = "".join(rng.choice("abcdefgh ") for _ in range(20_000))
    alone = xz_bits_per_byte([text])
    compressed = lzma.compress((text + "\n").encode(), preset=9 | lzma.PRESET_EXTREME)
    assert alone == pytest.approx(8 * len(compressed) / 20_001)
    assert primed_xz_bits_per_byte([text], [text]) < alone / 50
    assert primed_xz_bits_per_byte([text], ["something else"]) == pytest.approx(alone, rel=0.02)
