"""What was said about training on a page: by which protocol, where, when and in which words; and the conclusion.

docs/opt-outs.md lists what is read and what is done about it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tasks.corpus.crawl.robots_meta import NOAI, TDM

CONTENT_SIGNAL, CONTENT_USAGE, RSL, RSL_UNKNOWN = "content-signal", "content-usage", "rsl", "rsl-unknown"
MAX_WORDS = 300  # characters of a statement that are kept

Permission = Literal["allow", "deny", "unknown"]


@dataclass(frozen=True)
class Statement:
    """One protocol's statement on training with a page. `where`: a URL, "header" or "page"; `words`: quoted exactly."""

    protocol: str
    train: Permission
    where: str
    words: str
    at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Statement:
        """Make a statement from what `to_dict` returned, also after a round trip through JSON."""
        at = data["at"]
        return cls(**data | {"at": datetime.datetime.fromisoformat(at) if isinstance(at, str) else at})

    def to_dict(self) -> dict[str, Any]:
        """Return the statement as pages.parquet holds it."""
        return asdict(self) | {"words": " ".join(self.words.split())[:MAX_WORDS]}


def combined(statements: Iterable[Permission]) -> Permission:
    """Combine several statements: any *no* overrides any *yes*; silence is "unknown", which is not a permission."""
    said = set(statements)
    return "deny" if "deny" in said else "allow" if "allow" in said else "unknown"


def rights(statements: Iterable[Statement]) -> dict[str, Any]:
    """Return the column `rights` of a page; a statement repeated in one place is listed once."""
    once = {(s.protocol, s.train, s.where, s.words): s for s in statements}
    said = sorted(once.values(), key=lambda s: (s.protocol, s.where, s.words))
    return {"train": combined(s.train for s in said), "said": [s.to_dict() for s in said]}


def refusal(statements: Iterable[Statement], honour: Iterable[str]) -> str | None:
    """Return why the honoured protocols forbid keeping a page; None if none of them says no."""
    asked = set(honour)
    said = {(s.protocol, s.train) for s in statements}
    for protocol in (NOAI, TDM, CONTENT_SIGNAL, CONTENT_USAGE, RSL):
        if protocol in asked and (protocol, "deny") in said:
            return protocol.replace("-", "_")
    if RSL_UNKNOWN in asked and (RSL, "unknown") in said:
        return RSL_UNKNOWN.replace("-", "_")
    return None
