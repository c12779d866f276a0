"""What each stage gave: the gains of a run's artifacts on held-out items, as one table for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_lake.store.gain import Gain
from tasks.stage import Artifact

TITLE = "What each stage gave on held-out items (± standard error; more than two of them make a gain)"


def gains_of(artifacts: Mapping[str, Artifact | None]) -> dict[str, Gain]:
    """Return the gains of the artifacts that have one, by the name of their node."""
    return {name: made.manifest.gain for name, made in artifacts.items() if made is not None and made.manifest.gain}


def gain_rows(gains: Mapping[str, Gain]) -> list[dict[str, Any]]:
    """Return a row for each gain."""
    return [
        {
            "stage": name,
            "measure": one.measure,
            "items": one.items,
            "against": one.against,
            "before or control": round(one.reference, 4),
            "after": round(one.reached, 4),
            "gain": one.difference,
            "verdict": one.verdict,
        }
        for name, one in gains.items()
    ]


def gains_text(gains: Mapping[str, Gain]) -> str | None:
    """Return the gains as lines of equal columns; None if there are none."""
    if not gains:
        return None
    head = ("stage", "measure", "items", "against", "", "after", "gain", "")
    body = [
        (name, one.measure, f"{one.items:,}", one.against, f"{one.reference:.3f}", f"{one.reached:.3f}",
         one.difference, one.verdict)
        for name, one in gains.items()
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    numbers = {2, 4, 5}
    lines = [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *body)
    ]
    unclear = [name for name, one in gains.items() if not one.clear]
    if unclear:
        lines.append(f"Of {' and '.join(unclear)}, these items show no gain of more than two standard errors.")
    return "\n".join([f"{TITLE}:", *(f"  {line}" for line in lines)])
