"""Matrices of few bits: how they are stored, looked up and multiplied.

A weight is (level - middle) * scale + zero: level is what is stored, scale and zero belong to a row or to a group of a
row. What multiplies fastest depends on the size of the matrix and on how many rows it is given (docs/compress.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.quantisation import Quantisation

EMBEDDINGS = Quantisation(bits=8)
"""How the embedding and the output matrix are stored, whatever the other matrices are."""

SMALL = 1 << 17
"""Weights below which a matrix is held in float32: it fits the cache anyway. One row times 256 × 256 takes 5.6 µs in
float32 and 8.4 from 8 bits (one core, AVX-512); 768 × 256: 17.2 and 15.5; 4,096 × 256: 131 and 66.
"""

FEW = 64
"""Given rows up to which the kernel for few bits is faster than making float32 weights first. 1,536 × 512: 4 rows take
94 µs with the kernel for 8 bits and 395 that way (171 where the weights are float32), 16 rows 386 and 613 (394), 64
rows 1,506 and 1,625 (1,320), 256 rows 5,876 and 5,465 (5,046).
"""

KERNEL_GROUPS = (32, 64, 128, 256)
"""The sizes of groups that torch's kernel for 4 bits knows."""


def packed(levels: Tensor) -> Tensor:
    """Return levels 0 to 15 (N, K), K even, as uint8 (N, K / 2): the even column in the lower half of a byte."""
    levels = levels.to(torch.uint8)
    return levels[:, 0::2] | (levels[:, 1::2] << 4)


def unpacked(stored: Tensor) -> Tensor:
    """Return the levels (N, K), uint8, that `packed` stored."""
    return torch.stack([stored & 15, stored >> 4], dim=-1).flatten(1)


class QuantisedMatrix(nn.Module):
    """A matrix (rows, columns) of 8 or 4 bits per weight.

    weight: int8 (rows, columns), or uint8 (rows, columns / 2). scale, zero: bfloat16 (rows, groups); zero only where
    the levels do not lie around 0. Products are those of inputs rounded to bfloat16, except in small matrices.
    """

    weight: Tensor
    scale: Tensor
    zero: Tensor | None
    bias: Tensor | None

    def __init__(self, rows: int, columns: int, form: Quantisation, *, bias: bool = False) -> None:
        super().__init__()
        self.rows, self.columns, self.form = rows, columns, form
        group = form.group_size or columns
        if why := form.unfit(columns):
            raise ValueError(why)
        groups = columns // group
        eight = form.bits == 8
        stored = torch.zeros(rows, columns if eight else columns // 2, dtype=torch.int8 if eight else torch.uint8)
        self.register_buffer("weight", stored)
        self.register_buffer("scale", torch.zeros(rows, groups, dtype=torch.bfloat16))
        self.register_buffer("zero", None if form.symmetric else torch.zeros(rows, groups, dtype=torch.bfloat16))
        self.register_buffer("bias", torch.zeros(rows) if bias else None)
        self._product: Callable[[Tensor], Tensor] | None = None

    @property
    def count(self) -> int:
        """Number of weights, with those of a bias."""
        return self.rows * self.columns + (0 if self.bias is None else self.rows)

    def fill(self, levels: Tensor, scale: Tensor, zero: Tensor | None) -> None:
        """Take over levels (rows, columns) with their steps (rows, groups)."""
        self.weight.copy_(levels if self.form.bits == 8 else packed(levels))
        self.scale.copy_(scale)
        if self.zero is not None and zero is not None:
            self.zero.copy_(zero)
        self._product = None

    def dense(self) -> Tensor:
        """Return the matrix (rows, columns) in float32."""
        levels = self.weight.float() if self.form.bits == 8 else unpacked(self.weight).float().sub_(8)
        whole = levels.view(self.rows, self.scale.shape[1], -1).mul_(self.scale.float()[..., None])
        if self.zero is not None:
            whole = whole.add_(self.zero.float()[..., None])
        return whole.view(self.rows, self.columns)

    def multiply(self, x: Tensor) -> Tensor:
        """Map (…, columns) to (…, rows), without the bias."""
        if self._product is None:
            with torch.inference_mode(False), torch.no_grad():  # what is kept serves other modes too
                self._product = self._fastest()
        return self._product(x)

    def _apply(self, fn: Any, recurse: bool = True) -> QuantisedMatrix:
        self._product = None  # it belongs to a device
        return super()._apply(fn, recurse)

    def _fastest(self) -> Callable[[Tensor], Tensor]:
        kernel = self._kernel()
        if kernel is None:
            dense = self.dense()
            return lambda x: F.linear(x, dense.to(x.dtype))

        def product(x: Tensor) -> Tensor:
            given = x.reshape(-1, self.columns).to(torch.bfloat16)
            if len(given) <= FEW:
                made = kernel(given)
            else:
                with torch.autocast(x.device.type, enabled=False):
                    made = F.linear(given.float(), self.dense()).to(torch.bfloat16)
            return made.to(x.dtype).view(*x.shape[:-1], self.rows)

        return product

    def _kernel(self) -> Callable[[Tensor], Tensor] | None:
        """Return torch's product of few rows in bfloat16 with this matrix; None if it has none or is slower.

        With other widths than multiples of 16 the kernel for 8 bits ends the process (torch 2.13).
        """
        if self.weight.device.type != "cpu" or self.rows * self.columns < SMALL or self.columns % 16:
            return None
        if self.form.bits == 8:
            scale = self.scale[:, 0].contiguous()
            return lambda x: torch.ops.aten._weight_int8pack_mm(x, self.weight, scale)
        group = self.form.group_size
        if self.rows % 16 or group not in KERNEL_GROUPS:
            return None
        tiles = torch.ops.aten._convert_weight_to_int4pack_for_cpu(unpacked(self.weight).int(), 1)
        zero = torch.zeros_like(self.scale) if self.zero is None else self.zero
        steps = torch.stack([self.scale.T, zero.T], dim=-1).contiguous()
        return lambda x: torch.ops.aten._weight_int4pack_mm_for_cpu(x, tiles, group, steps)


class QuantisedLinear(QuantisedMatrix):
    """A linear layer of few bits per weight."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, columns) to (…, rows)."""
        made = self.multiply(x)
        return made if self.bias is None else made + self.bias


class QuantisedEmbedding(QuantisedMatrix):
    """An embedding of 8 bits per weight, which can be the output matrix too."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(rows, columns, EMBEDDINGS)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of the ids (…) in float32: (…, columns)."""
        return self.weight[ids].float() * self.scale[ids].float()
