"""GPTQ: levels are chosen so that a layer's products stay the same on real inputs (Frantar et al. 2022).

Columns are rounded one after the other, and what each loses is made up for by the columns that are not rounded yet, as
far as the inputs of the layer go together: w_rest -= error / [H^-1]_ii * [H^-1]_i,rest with H = X X^T.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from model.gpt import GPT
from model.quantisation import Quantisation
from model.quantising import form_of, put, quantise, refuse_quantised, steps_of

DAMPING = 0.01
"""Share of the mean diagonal that is added to H, so that it can be inverted (the paper's)."""

COLUMNS = 128
"""Columns after which what they lost is carried to all others at once, in 8 bits; in 4 bits it is a group."""


class _Reached(Exception):
    """The first block was reached; nothing behind it is of interest."""


def gptq(weight: Tensor, form: Quantisation, hessian: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return levels (N, K), scale and zero (N, groups) of a matrix whose inputs have the second moments (K, K)."""
    whole = weight.detach().float().clone()
    inverse = _inverse_factor(hessian)
    size = form.group_size or COLUMNS
    levels = torch.empty_like(whole)
    steps = steps_of(whole, form)  # of whole rows; replaced at each group
    scales, zeros = [steps.scale], [steps.zero]
    if form.group_size is not None:
        scales, zeros = [], []
    for start in range(0, whole.shape[1], size):
        stop = min(start + size, whole.shape[1])
        if form.group_size is not None:
            steps = steps_of(whole[:, start:stop], form)
            scales.append(steps.scale)
            zeros.append(steps.zero)
        lost = torch.empty_like(whole[:, start:stop])
        for column in range(start, stop):
            now = whole[:, column : column + 1]
            levels[:, column : column + 1] = steps.levels(now, form)
            error = (now - steps.weights(levels[:, column : column + 1], form)) / inverse[column, column]
            whole[:, column:stop] -= error * inverse[column, column:stop]
            lost[:, column - start] = error[:, 0]
        whole[:, stop:] -= lost @ inverse[start:stop, stop:]
    offsets = [zero for zero in zeros if zero is not None]
    return levels, torch.stack(scales, dim=1), torch.stack(offsets, dim=1) if offsets else None


def quantise_calibrated(
    model: GPT,
    form: Quantisation,
    texts: Sequence[Tensor],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> GPT:
    """Replace the network's matrices in place, block after block, by those that fit what it does with `texts`.

    texts: token ids (B, T). Each block sees what the blocks before it make of the texts after they were quantised.
    `progress` gets the blocks that are done and their number. Raises ValueError as `quantise` does.
    """
    refuse_quantised(model, "cannot be quantised again")
    if model.encoder is not None:
        raise ValueError("An encoder-decoder cannot be calibrated; round to the nearest level instead.")
    with torch.no_grad():
        seen = [_given(model, ids) for ids in texts]
        for number, block in enumerate(model.layers):
            layers = [
                (parent, name, child)
                for parent in block.modules()
                for name, child in parent.named_children()
                if isinstance(child, nn.Linear)
            ]
            moments = _moments(block, [layer for _, _, layer in layers], seen)
            for parent, name, layer in layers:
                put(parent, name, layer, form_of(parent, form), partial(gptq, hessian=moments[layer]))
            seen = [(block(*given), *given[1:]) for given in seen]
            progress(number + 1, len(model.layers))
    return quantise(model, form)


def _given(model: GPT, ids: Tensor) -> tuple[Any, ...]:
    """Return what the first block is given for a text."""
    found: list[tuple[Any, ...]] = []

    def stop(_module: nn.Module, given: tuple[Any, ...]) -> None:
        found.append(given)
        raise _Reached

    hook = model.layers[0].register_forward_pre_hook(stop)
    try:
        model.hidden(ids)
    except _Reached:
        pass
    finally:
        hook.remove()
    return found[0]


def _moments(block: nn.Module, layers: Sequence[nn.Linear], seen: Sequence[tuple[Any, ...]]) -> dict[nn.Module, Tensor]:
    """Return the second moments X X^T (K, K) of each layer's inputs, in the mean of the texts' tokens."""
    sums: dict[nn.Module, Tensor] = {}
    tokens = sum(given[0].shape[0] * given[0].shape[1] for given in seen)

    def add(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        flat = given[0].reshape(-1, given[0].shape[-1]).float()
        here = flat.T @ flat / tokens
        sums[module] = sums[module] + here if module in sums else here

    hooks = [layer.register_forward_pre_hook(add) for layer in layers]
    for given in seen:
        block(*given)
    for hook in hooks:
        hook.remove()
    return sums


def _inverse_factor(hessian: Tensor) -> Tensor:
    """Return the upper triangular U with H^-1 = U^T U, of H with damping; row i of U gives the update of column i."""
    damped = hessian.detach().double().clone()
    diagonal = damped.diagonal()
    silent = diagonal == 0  # inputs that are always 0: their weights are rounded, and nothing is carried from them
    diagonal += DAMPING * diagonal.mean()
    diagonal[silent] = diagonal[silent].clamp_min(1.0)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True).float()
