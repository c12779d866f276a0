"""Weights quantised by ggml's own code, which llama.cpp reads them with."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np


def quantised(weights: np.ndarray, as_type: str) -> np.ndarray:
    """Return a float32 matrix (rows, n) as the bytes of one of ggml's types, uint8 (rows, bytes of a row)."""
    import gguf

    number = gguf.GGMLQuantizationType[as_type].value
    rows, width = weights.shape
    source = np.ascontiguousarray(weights, dtype=np.float32)
    library = _ggml()
    made = np.empty((rows, library.ggml_row_size(number, width)), dtype=np.uint8)
    address = ctypes.POINTER(ctypes.c_float)
    size = library.ggml_quantize_chunk(
        number, source.ctypes.data_as(address), made.ctypes.data_as(ctypes.c_void_p), 0, rows, width, None
    )
    assert size == made.nbytes, f"ggml wrote {size:,} bytes of {as_type} instead of {made.nbytes:,}"
    return made


@functools.cache
def _ggml() -> ctypes.CDLL:
    """Return the library in which the package xllamacpp brings llama.cpp; it is opened, its Python part is not run."""
    import importlib.util

    spec = importlib.util.find_spec("xllamacpp")
    assert spec is not None
    assert spec.origin is not None
    library = ctypes.CDLL(str(next(Path(spec.origin).parent.glob("xllamacpp*.so"))))
    library.ggml_row_size.restype = ctypes.c_size_t
    library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.POINTER(ctypes.c_float), ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
        ctypes.c_void_p,
    ]  # fmt: skip
    return library
