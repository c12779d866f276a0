"""Muon (Jordan et al. 2024): momentum whose update is made orthogonal by Newton–Schulz iterations, batched by shape.

An orthogonal update moves all directions of a matrix equally far, where AdamW's moves mostly along the few that the
gradient is full of. https://kellerjordan.github.io/posts/muon
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

STACKED = 1 << 27
"""Largest number of elements in a batch of matrices: 256 MiB in bfloat16, of which the iteration holds a few copies."""


class Muon(torch.optim.Muon):
    """torch's own Muon with the same state and settings; only the arithmetic of a step differs.

    torch 2.13 takes one matrix after the other, always in bfloat16. Here matrices of one shape, upright or lying, go
    through the iteration together, so that on a GPU the kernels are as few as the shapes; and they do so in the group's
    `dtype`, because a CPU without bfloat16 has to emulate it. The demo's 28 matrices take 126 ms either way on a core
    with AVX-512 BF16; limited to AVX2, the same core needs 5.0 s in bfloat16 and 0.3 s in float32.
    """

    def __init__(self, params: Any, *, dtype: torch.dtype = torch.bfloat16, **settings: Any) -> None:
        super().__init__(params, **settings)
        for group in self.param_groups:
            group.setdefault("dtype", dtype)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one step over all groups, as torch.optim.Muon does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights: list[Tensor] = []
            grads: list[Tensor] = []
            averages: list[Tensor] = []
            self._init_group(group, weights, grads, averages)
            for batch in _batches(weights):
                self._step_together(
                    group, [weights[i] for i in batch], [grads[i] for i in batch], [averages[i] for i in batch]
                )
        return loss

    def _step_together(
        self, group: dict[str, Any], weights: list[Tensor], grads: list[Tensor], averages: list[Tensor]
    ) -> None:
        momentum, rate = group["momentum"], float(group["lr"])
        updates = []
        for grad, average in zip(grads, averages, strict=True):
            average.lerp_(grad, 1 - momentum)
            update = grad.lerp(average, momentum) if group["nesterov"] else average
            updates.append(_lying(update.to(group["dtype"])))
        stacked = orthogonal(torch.stack(updates), group["ns_steps"], group["ns_coefficients"], group["eps"])
        for weight, update in zip(weights, stacked, strict=True):
            rows, columns = weight.shape
            weight.mul_(1 - rate * group["weight_decay"])
            weight.add_(update.mT if rows > columns else update, alpha=-_adjusted(rate, group, rows, columns))


def orthogonal(
    matrices: Tensor, steps: int, coefficients: Sequence[float] = (3.4445, -4.7750, 2.0315), eps: float = 1e-7
) -> Tensor:
    """Return matrices (N, m, n), m ≤ n, with all singular values moved to about 1 (0.7 … 1.2 after 5 steps).

    The iteration is an odd polynomial of the singular values whose slope at 0 is steep; it does not converge further.
    """
    a, b, c = coefficients
    made = matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = made @ made.mT
        made = torch.baddbmm(made, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), made, beta=a)
    return made


def _lying(matrix: Tensor) -> Tensor:
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _batches(weights: Sequence[Tensor]) -> Iterator[list[int]]:
    """Yield the positions of matrices to take together: of one shape, upright or lying, at most STACKED elements."""
    shapes: dict[tuple[Any, ...], list[int]] = {}
    for position, weight in enumerate(weights):
        shapes.setdefault((*sorted(weight.shape), weight.device), []).append(position)
    for positions in shapes.values():
        size = max(1, STACKED // max(1, weights[positions[0]].numel()))
        for start in range(0, len(positions), size):
            yield positions[start : start + size]


def _adjusted(rate: float, group: dict[str, Any], rows: int, columns: int) -> float:
    """Return the rate of a matrix: an update with more rows than columns has a smaller root mean square."""
    if group["adjust_lr_fn"] == "match_rms_adamw":
        return rate * 0.2 * float(max(rows, columns)) ** 0.5
    return rate * max(1.0, rows / columns) ** 0.5
