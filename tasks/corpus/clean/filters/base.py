"""What a filter is: a named class that lets a document pass, rewrites it, or removes it with the value that decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from tasks.corpus.clean.analysis import Analysis


@dataclass(frozen=True)
class Removal:
    """Why a document is removed: the filter's name, what it measured, and the limit that was crossed.

    `detail` names the filter's rule, and what it found.
    """

    reason: str
    value: float
    threshold: float
    detail: str | None = None


class Filter:
    """A filter; `name` is its key in recipes and the reason in its removals, `config` its section of the config."""

    name: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.config = config

    def apply(self, page: Analysis) -> Removal | str | None:
        """Return None if the page passes, the new text if lines were removed, or a Removal if the page fails."""
        return next(self.violations(page), None)

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Yield a removal for each rule that the page breaks, in the order of the rules."""
        yield from ()

    def above(self, rule: str, value: float, limit: float) -> Iterator[Removal]:
        """Yield a removal if the value is above the limit."""
        if value > limit:
            yield Removal(self.name, float(value), float(limit), rule)

    def below(self, rule: str, value: float, limit: float) -> Iterator[Removal]:
        """Yield a removal if the value is below the limit."""
        if value < limit:
            yield Removal(self.name, float(value), float(limit), rule)
