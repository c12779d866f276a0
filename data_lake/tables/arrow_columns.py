"""Arrow columns as numpy arrays over the same memory, and back, without a Python object per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def text_bytes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of a text column without nulls (uint8), and the offset of each text (int64[n + 1])."""
    if not len(texts):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = texts.buffers()
    width = np.int64 if str(texts.type).startswith("large") else np.int32
    begins = np.frombuffer(offsets, dtype=width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    whole = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
    return whole[begins[0] : begins[-1]], begins - begins[0]


def text_digests(texts: pa.Array) -> list[bytes]:
    """Return a 128-bit digest of each text."""
    import xxhash

    return [xxhash.xxh3_128_digest(text.as_buffer()) for text in texts]


def fixed_column(rows: np.ndarray) -> pa.Array:
    """Return the rows of a matrix as a column of fixed-size binary values."""
    import pyarrow as pa

    kind = pa.binary(rows.shape[1] * rows.itemsize)
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))])


def fixed_values(column: pa.Array, dtype: str) -> np.ndarray:
    """Return a column of fixed-size binary values as numbers: dtype[n, size / itemsize]."""
    width = column.type.byte_width // np.dtype(dtype).itemsize
    if not len(column):
        return np.zeros((0, width), dtype=dtype)
    values = np.frombuffer(column.buffers()[1], dtype=dtype).reshape(-1, width)
    return values[column.offset : column.offset + len(column)]
