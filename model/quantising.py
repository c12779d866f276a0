"""Quantising a network: its matrices are replaced by those of few bits, each weight by the level that is nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.gpt import GPT
from model.quantisation import Quantisation
from model.quantised import EMBEDDINGS, QuantisedEmbedding, QuantisedLinear, QuantisedMatrix


class Steps(NamedTuple):
    """What turns levels into weights, for each row: w = (level - middle) * scale + zero. Both bfloat16."""

    scale: Tensor
    zero: Tensor | None

    def levels(self, weight: Tensor, form: Quantisation) -> Tensor:
        """Return the nearest levels of weights (N, g) that share the steps (N)."""
        shifted = weight if self.zero is None else weight - self.zero.float()[:, None]
        nearest = torch.round(shifted / self.scale.float()[:, None])
        return nearest.clamp_(-127, 127) if form.bits == 8 else nearest.clamp_(-8, 7).add_(8)

    def weights(self, levels: Tensor, form: Quantisation) -> Tensor:
        """Return the weights (N, g) of levels, in float32."""
        made = (levels if form.bits == 8 else levels - 8) * self.scale.float()[:, None]
        return made if self.zero is None else made + self.zero.float()[:, None]


def steps_of(weight: Tensor, form: Quantisation) -> Steps:
    """Return the smallest steps with which no weight (N, g) is further than half a step from a level.

    4 bits have the levels -8 to 7, so that -7.5 to 7.5 steps are covered. With an offset, the range includes 0, and the
    offset is rounded to bfloat16, which the half step that the levels reach beyond the range makes up for.
    """
    if form.symmetric:
        reach = weight.abs().amax(dim=1)
        return Steps(_rounded_up(reach / (127 if form.bits == 8 else 7.5)), None)
    low, high = weight.amin(dim=1).clamp_max(0), weight.amax(dim=1).clamp_min(0)
    scale = _rounded_up((high - low) / 15)
    return Steps(scale, (low + 8 * scale.float()).to(torch.bfloat16))


def _rounded_up(scale: Tensor) -> Tensor:
    """Return the smallest bfloat16 that is not below each number; 1 for those so small that nothing can be said."""
    near = scale.to(torch.bfloat16)
    up = torch.where(near.float() < scale, torch.nextafter(near, torch.full_like(near, torch.inf)), near)
    return torch.where(up.float() < torch.finfo(torch.bfloat16).tiny, torch.ones_like(up), up)


def rounded(weight: Tensor, form: Quantisation) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return levels (N, K), scale and zero (N, groups) of a matrix, each weight rounded by itself."""
    whole = weight.detach().float()
    grouped = whole.reshape(-1, form.group_size or whole.shape[1])
    steps = steps_of(grouped, form)
    shape = (len(whole), -1)
    zero = None if steps.zero is None else steps.zero.view(shape)
    return steps.levels(grouped, form).view(shape), steps.scale.view(shape), zero


def quantise(model: GPT, form: Quantisation) -> GPT:
    """Replace the network's matrices in place by those of few bits, and return it. Norms, biases and learned positions
    stay.

    Raises ValueError if a group does not divide a matrix, or if the network is quantised already.
    """
    refuse_quantised(model, "cannot be quantised again")
    for parent, name, module in list(_matrices(model)):
        put(parent, name, module, form_of(parent, form))
    model.quantisation = form
    return model.requires_grad_(False)


def put(
    parent: nn.Module,
    name: str,
    module: nn.Module,
    form: Quantisation,
    rounding: Callable[[Tensor, Quantisation], tuple[Tensor, Tensor, Tensor | None]] = rounded,
) -> None:
    """Replace a linear layer or an embedding of `parent` by one of few bits, whose levels `rounding` chooses."""
    made = _empty(module, form)
    assert isinstance(module, nn.Linear | nn.Embedding)
    levels, scale, zero = rounding(module.weight.detach(), form)
    made.fill(levels, scale, zero)
    if made.bias is not None:
        assert isinstance(module, nn.Linear)
        made.bias.copy_(module.bias.detach())
    setattr(parent, name, made.to(module.weight.device))


def emptied(model: GPT, form: Quantisation) -> GPT:
    """Replace the matrices by empty ones of few bits, to be filled with what a file holds; return the network."""
    for parent, name, module in list(_matrices(model)):
        setattr(parent, name, _empty(module, form_of(parent, form)))
    model.quantisation = form
    return model.requires_grad_(False)


def dequantised(model: GPT) -> GPT:
    """Return a network of float32 weights that are those of a quantised one; one that is not quantised as it is."""
    if model.quantisation is None:
        return model
    matrices = {name: module for name, module in model.named_modules() if isinstance(module, QuantisedMatrix)}
    weights = {name: value for name, value in model.state_dict().items() if name.rpartition(".")[0] not in matrices}
    for name, module in matrices.items():
        weights[f"{name}.weight"] = module.dense()
        if module.bias is not None:
            weights[f"{name}.bias"] = module.bias
    plain = GPT(model.config)
    plain.load_state_dict(weights)
    return plain.to(model.device).train(model.training)


def refuse_quantised(model: GPT, what: str) -> None:
    """Raise ValueError if the network is quantised: it `what`."""
    if model.quantisation is not None:
        raise ValueError(
            f"A model of {model.quantisation.bits} bits per weight {what}: its levels have no gradient. Take the model "
            "that it was made from."
        )


def form_of(parent: nn.Module, form: Quantisation) -> Quantisation:
    """Return how the matrices of a module are stored: those of the network itself are embedding and output matrix."""
    return EMBEDDINGS if isinstance(parent, GPT) else form


def _matrices(model: GPT) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Yield parent, name and module of each matrix that is quantised."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear) or name == "embed_tokens":
                yield parent, name, child


def _empty(module: nn.Module, form: Quantisation) -> QuantisedMatrix:
    if isinstance(module, nn.Embedding):
        return QuantisedEmbedding(module.num_embeddings, module.embedding_dim)
    assert isinstance(module, nn.Linear)
    return QuantisedLinear(module.out_features, module.in_features, form, bias=module.bias is not None)
