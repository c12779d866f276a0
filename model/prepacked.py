"""Matrices in the layout in which oneDNN multiplies several rows, made once and not at each product.

Of sixteen rows torch's product makes 29 billion operations a second with a matrix of 32,768 × 512, and 60 with one of
1,536 × 512; from this layout 76 and 91 (float32, one core, AVX-512, torch 2.13). Of one row, both wait for memory.
"""

from __future__ import annotations

import numpy as np
import torch

ROWS = 16
"""Rows that the layout is made for; that of 4 to 64 rows is the same, and up to 128 rows were measured."""


def available() -> bool:
    """Whether this build of torch has the operations."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Prepacked:
    """A copy of a matrix (N, K), float32."""

    def __init__(self, weight: np.ndarray) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(torch.from_numpy(weight), ROWS)

    def product(self, x: np.ndarray) -> np.ndarray:
        """Return x (n, K) times the transpose of the matrix: (n, N)."""
        made = torch.ops.mkldnn._linear_pointwise(torch.from_numpy(x), self._weight, None, "none", [], "")
        array: np.ndarray = made.numpy()
        return array
