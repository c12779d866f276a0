"""Draws by hash: a number that follows from texts alone, so every run, process and machine draws the same."""

from __future__ import annotations

import hashlib


def hash_draw(*texts: str) -> int:
    """Return a number of 64 bits drawn by texts; the first of several is a salt that makes one draw independent of
    another one by the same texts."""
    return int.from_bytes(hashlib.sha256("\0".join(texts).encode()).digest()[:8], "big")


def hash_share(*texts: str) -> float:
    """Return a number from 0 to 1 drawn by texts."""
    return hash_draw(*texts) / 2**64
