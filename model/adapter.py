"""The settings of a low-rank adapter: separate from the code that uses them, so that a plan does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.settings import Settings

Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Adapter(Settings):
    """LoRA (Hu et al. 2021): the weights stay, and small matrices beside them learn the difference.

    The names and defaults are those of peft, whose files it reads and writes.
    """

    rank: int = Field(8, ge=1, description="inner width of the two small matrices")
    alpha: float = Field(16.0, gt=0, description="the learned difference is scaled by alpha / rank")
    targets: tuple[Target, ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        min_length=1,
        description="matrices that get an adapter, in every block; those that the family does not have are passed over",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the adapter's inputs set to 0 in training")
    rslora: bool = Field(False, description="scale by alpha / √rank, so that high ranks learn (Kalajdzievski 2023)")
    dora: bool = Field(
        False, description="learn the length of each row separately from its direction (Liu et al. 2024)"
    )

    @property
    def scale(self) -> float:
        """Factor of the learned difference."""
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)
