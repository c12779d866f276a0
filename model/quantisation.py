"""How weights are stored in few bits: the settings, separate from the code that uses them, so that a plan does not
import torch.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from model.settings import Settings

GROUP = 64
"""Weights that share a step in 4 bits, unless another number is given."""


class Quantisation(Settings):
    """In how many bits weights are stored, and how many of them share a step.

    The embedding and the output matrix have 8 bits with either: they hold half of a small model's loss.
    """

    bits: Literal[8, 4] = Field(8, description="bits per weight of the blocks' matrices: 8 or 4")
    group: int | None = Field(
        None,
        ge=16,
        description=f"4 bits: consecutive weights of a row that share a step; null = {GROUP}. With 8 bits a row shares "
        "one",
    )
    symmetric: bool = Field(
        True,
        description="4 bits: true = levels lie around 0; false = each group has an offset too, and costs 16 bits more",
    )

    @property
    def group_size(self) -> int | None:
        """How many weights of a row share a step; None = all of them."""
        return None if self.bits == 8 else self.group or GROUP

    def unfit(self, columns: int) -> str | None:
        """Return why rows of so many weights cannot be stored like this; None if they can."""
        group = self.group_size
        if group is None or (columns % group == 0 and group % 2 == 0):
            return None
        return (
            f"Rows of {columns:,} weights cannot be divided into groups of {group}, an even number; take another group."
        )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if self.bits == 8 and (self.group is not None or not self.symmetric):
            given = "group" if self.group is not None else "symmetric"
            raise ValueError(f"with 8 bits each row has one symmetric step; leave {given} out, or set bits: 4")
        return self
