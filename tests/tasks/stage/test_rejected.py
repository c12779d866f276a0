"""tasks/stage/rejected.py: reasons are counted, grouped without their numbers, and the records kept."""

from __future__ import annotations

import json
from pathlib import Path

from tasks.stage import local_output
from tasks.stage.rejected import Rejected


def test_reasons_are_grouped_and_records_kept(tmp_path: Path) -> None:
    out, said = local_output(tmp_path), list[str]()
    rejected = Rejected(out, "broken")
    for number in range(3):
        rejected.add("broken", f"a#{number}", f"byte 0x{number} at {number:,}", "x" * 5000)
    rejected.add("too long", "a#9", "400 tokens", "y")
    rejected.write(said.append)
    rows = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [len(row["record"]) for row in rows] == [2000, 2000, 2000, 1]
    assert said == [
        "4 records were put aside (rejected.jsonl has them all): 3 × byte 0x0 at 0 (first: a#0); 1 × too long: 400 "
        "tokens (first: a#9)."
    ]


def test_nothing_put_aside_is_not_mentioned(tmp_path: Path) -> None:
    said: list[str] = []
    Rejected(local_output(tmp_path), "broken").write(said.append)
    assert not said
    assert not (tmp_path / "rejected.jsonl").exists()
