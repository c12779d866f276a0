"""What a filter is: a named class that lets a document pass, rewrites it, or removes it with the value that decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from tasks.corpus.clean.analysis import Analysis


@dataclass(frozen=True)
class Removal:
    """Why a document is removed: the filter's name, what it measured, and the limit that was crossed.

    `detail` names the rule of the filter, and what it met.
    """

    reason: str
    value: float
    threshold: float
    detail: str | None = None


class Filter:
    """A filter; `name` is its key in recipes and the reason of what it removes, `config` its own section."""

    name: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.config = config

    def apply(self, page: Analysis) -> Removal | str | None:
        """Return None where the page passes, its text where lines of it were taken off, a Removal where it fails."""
        return next(self.violations(page), None)

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Yield each rule that the page breaks, in the order of the rules."""
        yield from ()

    def above(self, rule: str, value: float, limit: float) -> Iterator[Removal]:
        """A removal where the value is above the limit."""
        if value > limit:
            yield Removal(self.name, float(value), float(limit), rule)

    def below(self, rule: str, value: float, limit: float) -> Iterator[Removal]:
        """A removal where the value is below the limit."""
        if value < limit:
            yield Removal(self.name, float(value), float(limit), rule)
