"""What a stage gave: a measure on held-out items, beside what it was before or what something simpler reaches."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

SHAPES_NO_RESULT = "records what was measured"


class Gain(BaseModel):
    """The gain of a stage on `items` held-out items, with the standard error over their paired differences.

    `gain` is positive where the stage made `measure` better, also where less is better. `stderr` is null for one item.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: str
    against: str
    """What it is held against: "before", or a control such as "tf-idf"."""
    items: int
    reference: float
    reached: float
    gain: float
    stderr: float | None

    @property
    def clear(self) -> bool:
        """Whether it is a gain of more than two standard errors."""
        return self.stderr is not None and self.gain > 2 * self.stderr

    @property
    def verdict(self) -> str:
        """The same in words."""
        return "gain" if self.clear else "no clear gain"

    @property
    def difference(self) -> str:
        """The gain with its standard error, as text."""
        return f"{self.gain:+.3f}" + ("" if self.stderr is None else f" ± {self.stderr:.3f}")

    def __str__(self) -> str:
        return (
            f"{self.measure}, of {self.items:,} held-out items: {self.reference:.3f} ({self.against}), "
            f"{self.reached:.3f} after this stage: {self.difference}"
        )
