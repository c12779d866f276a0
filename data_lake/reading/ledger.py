"""The ledger: each data stage accounts for every document and byte that came in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SHAPES_NO_RESULT = "counts what was made"


@dataclass(frozen=True)
class Amount:
    """A number of documents, bytes and, from tokenize on, tokens."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.documents + other.documents, self.bytes + other.bytes, self.tokens + other.tokens)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.documents - other.documents, self.bytes - other.bytes, self.tokens - other.tokens)


@dataclass(frozen=True)
class Ledger:
    """What came in, what was kept, and what was removed for which reason; `problems()` is empty when it adds up.

    `rewritten` is what the kept documents lost by being rewritten (markup removed, text repaired); it is negative if
    they grew. So `kept` of one stage is `incoming` of the next, byte for byte. `counts` names what is counted as
    documents: fine-tuning counts instruction pairs, which do not continue another stage's documents.
    """

    incoming: Amount
    kept: Amount
    removed: Mapping[str, Amount] = field(default_factory=dict)
    rewritten: Amount = Amount()
    counts: str = "documents"

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each unit in which incoming differs from kept + removed + rewritten."""
        out = self.kept + self.rewritten
        for amount in self.removed.values():
            out = out + amount
        for unit, came in asdict(self.incoming).items():
            went = getattr(out, unit)
            if came != went:
                yield (
                    f"The ledger does not add up: {came:,} {unit} came in, but kept + rewritten + removed is {went:,} "
                    f"(difference {came - went:+,})."
                )
        if self.rewritten.documents:
            yield f"The ledger says that {self.rewritten.documents} documents were rewritten away; give them a reason."
        for name, amount in {"incoming": self.incoming, "kept": self.kept, **self.removed}.items():
            for unit, number in asdict(amount).items():
                if number < 0:
                    yield f"The ledger holds a negative number: {name} has {number:,} {unit}."

    def by_reason(self) -> list[tuple[str, Amount]]:
        """The removals, most documents first."""
        return sorted(self.removed.items(), key=lambda item: (-item[1].documents, item[0]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "incoming": asdict(self.incoming),
            "kept": asdict(self.kept),
            "removed": {reason: asdict(amount) for reason, amount in self.by_reason()},
            "rewritten": asdict(self.rewritten),
            "counts": self.counts,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """Read what `to_dict` wrote; raises KeyError or TypeError on anything else."""
        return cls(
            incoming=Amount(**data["incoming"]),
            kept=Amount(**data["kept"]),
            removed={reason: Amount(**amount) for reason, amount in data["removed"].items()},
            rewritten=Amount(**data["rewritten"]),
            counts=data.get("counts", "documents"),
        )


class Tally:
    """Counts documents as a stage handles them; `ledger()` is the sum so far.

    Every document goes through exactly one of `keep` and `remove`. What came in is what the caller states (`incoming`,
    from the manifest of the input) or, if not given, the sum of what was handled.
    """

    def __init__(self, counts: str = "documents") -> None:
        self._counts = counts
        self._handled = Amount()
        self._kept = Amount()
        self._rewritten = Amount()
        self._removed: dict[str, Amount] = {}

    def keep(self, n_bytes: int, *, written: int | None = None, tokens: int = 0) -> None:
        """Count a kept document of `n_bytes` that is written as `written` bytes (default: unchanged)."""
        written = n_bytes if written is None else written
        self._handled += Amount(1, n_bytes, tokens)
        self._kept += Amount(1, written, tokens)
        self._rewritten += Amount(0, n_bytes - written)

    def remove(self, reason: str, n_bytes: int, *, documents: int = 1, tokens: int = 0) -> None:
        """Count a removed document."""
        amount = Amount(documents, n_bytes, tokens)
        self._handled += amount
        self._removed[reason] = self._removed.get(reason, Amount()) + amount

    def add(self, ledger: Ledger) -> None:
        """Add the ledger of a shard."""
        self._handled += ledger.incoming
        self._kept += ledger.kept
        self._rewritten += ledger.rewritten
        for reason, amount in ledger.removed.items():
            self._removed[reason] = self._removed.get(reason, Amount()) + amount

    def ledger(self, incoming: Amount | None = None) -> Ledger:
        """Return the ledger so far; with `incoming` from elsewhere, a lost document shows up as a problem."""
        incoming = self._handled if incoming is None else incoming
        return Ledger(incoming, self._kept, dict(self._removed), self._rewritten, self._counts)
