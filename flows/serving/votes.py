"""Votes of people between two answers, kept as preference pairs that fine-tuning can learn from."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from data_lake.store.locks import locked
from flows.serving.schemas import VoteBody

MAX_FILE_BYTES = 1 << 30


class VotesFull(Exception):
    """The file of votes has reached its limit."""


def keep(file: Path, vote: VoteBody) -> None:
    """Add a vote to a file of JSON lines: prompt, chosen and rejected in the conversational form of trl.

    Raises VotesFull.
    """
    row: dict[str, Any] = {
        "prompt": [{"role": one.role, "content": one.text} for one in vote.prompt],
        "chosen": [{"role": "assistant", "content": vote.chosen}],
        "rejected": [{"role": "assistant", "content": vote.rejected}],
        "chosen_model": vote.chosen_model,
        "rejected_model": vote.rejected_model,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.with_suffix(".lock"), timeout=10):
        if file.exists() and file.stat().st_size > MAX_FILE_BYTES:
            raise VotesFull(f"{file.name} has reached {MAX_FILE_BYTES:,} bytes; move it away to go on.")
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
