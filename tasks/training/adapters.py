"""Whether an adapter fits a network, known from its shape before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.adapter import Adapter, Target
from tasks.stage import PermanentError
from tasks.stage.preflight import Facts, Fault
from tasks.training.import_model.config import ImportConfig
from tasks.training.import_model.shape import imported_shape

if TYPE_CHECKING:
    from model.shape import GPTShape


def adapter_faults(field: str, adapter: Adapter | None, shape: GPTShape | None) -> Iterator[Fault]:
    """Yield why an adapter cannot be put around the matrices of a network; nothing where the shape is not known."""
    if adapter is None or shape is None:
        return
    sides = narrow_sides(shape)
    there = [target for target in adapter.targets if target in sides]
    if not there:
        why = f"A {shape.family} has none of {', '.join(adapter.targets)}; it has {', '.join(sorted(sides))}."
        yield Fault(f"{field}.targets", why)
    too_wide = [target for target in there if sides[target] < adapter.rank]
    if too_wide:
        why = (
            f"The rank {adapter.rank} is more than {too_wide[0]} can have, whose narrower side is "
            f"{sides[too_wide[0]]}; such an adapter would have more weights than the matrix. Lower it."
        )
        yield Fault(f"{field}.rank", why)


def narrow_sides(shape: GPTShape) -> dict[Target, int]:
    """Return the smaller dimension of each matrix of a block, which no rank can exceed."""
    width = shape.d_model
    heads, groups = shape.n_head * shape.head_dim, (shape.n_kv_head or shape.n_head) * shape.head_dim
    sides: dict[Target, int] = {
        "q_proj": min(width, heads), "k_proj": min(width, groups), "v_proj": min(width, groups),
        "o_proj": min(width, heads), "up_proj": min(width, shape.d_ff), "down_proj": min(width, shape.d_ff),
    }  # fmt: skip
    return sides if shape.family == "gpt2" else {**sides, "gate_proj": min(width, shape.d_ff)}


def shape_of_base(facts: Facts) -> GPTShape | None:
    """Return the shape of the model that a stage goes on from, as far as the recipe tells."""
    if isinstance(imported := facts.configs.get("import_model"), ImportConfig):
        try:
            return imported_shape(imported)
        except (ValueError, OSError, PermanentError):  # the check of import_model reports why
            return None
    shape: GPTShape | None = facts.value("pretrain.model")
    return shape
