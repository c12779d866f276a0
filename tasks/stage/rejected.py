"""What a stage puts aside of the user's records: rejected.jsonl, and a sentence with each reason's number and place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from data_lake.store.files import write_jsonl
from tasks.stage.output import Output

SHAPES_NO_RESULT = "says what was not used"

FILE = "rejected.jsonl"


class Rejected:
    """Collects the records that a stage cannot use. `broken` is the kind of those whose reason says what is wrong."""

    def __init__(self, out: Output, broken: str) -> None:
        self.rows: list[dict[str, str]] = []
        self._out, self._broken = out, broken

    def add(self, kind: str, place: str, reason: str, record: str) -> None:
        """Put one aside; `place` is where it came from."""
        self.rows.append({"place": place, "kind": kind, "reason": reason, "record": record[:2000]})

    def summary(self) -> str:
        """Return how many records were put aside for each kind of reason, with the first record of each kind."""
        kinds = [self._kind(row) for row in self.rows]
        counts = Counter(kinds)
        shown = []
        for kind, n in counts.most_common(5):
            row = self.rows[kinds.index(kind)]
            said = row["reason"] if row["kind"] == self._broken else f"{row['kind']}: {row['reason']}"
            shown.append(f"{n:,} × {said} (first: {row['place']})")
        more = len(counts) - len(shown)
        return "; ".join(shown) + (f"; and {more} other reasons" if more else "")

    def write(self, tell: Callable[[str], None]) -> None:
        """Write the records to the artifact and tell their number and reasons; without any, do neither."""
        if self.rows:
            tell(f"{len(self.rows):,} records were put aside ({FILE} has them all): {self.summary()}.")
            write_jsonl(self._out.dir / FILE, self.rows)

    def _kind(self, row: dict[str, str]) -> str:
        """Return the kind of reason; for broken records it is the sentence without its numbers, so that they group."""
        return re.sub(r"\d[\d,.]*|0x\w+", "#", row["reason"]) if row["kind"] == self._broken else row["kind"]
