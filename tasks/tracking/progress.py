"""Progress of long work: a bar in the terminal, an artifact in Prefect."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from tasks.tracking.terminal import log, progress_bar, visible

PREFECT_SECONDS = 2.0
PLAIN_SECONDS = 15.0


class StageProgress:
    """Shows how far one stage is. Every call is cheap; updates are throttled."""

    def __init__(self, stage_name: str, *, terminal: bool, prefect: bool) -> None:
        self._name = stage_name
        self._bar: Any = None
        self._task: Any = None
        self._prefect = prefect
        self._artifact_id: Any = None
        self._last_prefect = 0.0
        self._last_plain = time.monotonic()
        self._terminal = terminal
        self._percent = -1.0

    def update(self, done: float, total: float | None, unit: str, note: str) -> None:
        """Show `done` of `total` units."""
        if self._terminal:
            self._show_terminal(done, total, unit, note)
        if self._prefect and total and time.monotonic() - self._last_prefect >= PREFECT_SECONDS:
            self._show_prefect(100.0 * min(done / total, 1.0), f"{done:,.0f} of {total:,.0f} {unit} {note}".strip())

    def close(self, *, complete: bool) -> None:
        """Remove the bar; a stage that succeeded ends at 100 %."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if complete and self._artifact_id is not None:
            self._show_prefect(100.0, "done")

    def _show_terminal(self, done: float, total: float | None, unit: str, note: str) -> None:
        if not sys.stderr.isatty():
            if time.monotonic() - self._last_plain >= PLAIN_SECONDS:
                self._last_plain = time.monotonic()
                of = f" of {total:,.0f}" if total else ""
                log(f"  {self._name}: {done:,.0f}{of} {unit} {note}".rstrip())
            return
        if self._bar is None:
            self._bar = progress_bar()
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=total, amount="", note="")
        amount = f"{done:,.0f}/{total:,.0f} {unit}" if total else f"{done:,.0f} {unit}"
        self._bar.update(self._task, completed=done, total=total, amount=amount, note=visible(note))

    def _show_prefect(self, percent: float, description: str) -> None:
        self._last_prefect = time.monotonic()
        with contextlib.suppress(Exception):  # an unreachable server must not stop a stage
            from prefect.artifacts import create_progress_artifact, update_progress_artifact

            if self._artifact_id is None:
                self._artifact_id = create_progress_artifact(
                    progress=percent, key=f"{self._name}-progress", description=description
                )
            elif percent != self._percent:
                update_progress_artifact(self._artifact_id, progress=percent, description=description)
            self._percent = percent
