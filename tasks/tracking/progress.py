"""Progress of long work and how long it will take: a bar in the terminal, lines without one, an artifact in Prefect."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from tasks.tracking.quantities import duration
from tasks.tracking.terminal import log, progress_bar, visible

PREFECT_SECONDS = 2.0
PLAIN_SECONDS = 15.0
SURE_SECONDS = 10.0
"""How long something was watched before it is said how long it will take."""


class Pace:
    """How fast work gets done, since it began here: what an earlier attempt had done took no time."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._last = 0.0
        self._of: tuple[float | None, str] = (None, "")

    def left(self, done: float, total: float | None, unit: str, now: float) -> str:
        """Return how long the rest will take, in words; empty as long as that is not known."""
        if self._first is None or done < self._last or self._of != (total, unit):  # another piece of work has begun
            self._first, self._of = (done, now), (total, unit)
        self._last = done
        since, began = self._first
        if not total or done <= since or done >= total or now - began < SURE_SECONDS:
            return ""
        return f"{duration((total - done) * (now - began) / (done - since))} left"


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
        self._pace = Pace()

    def update(self, done: float, total: float | None, unit: str, note: str) -> None:
        """Show `done` of `total` units."""
        left = self._pace.left(done, total, unit, time.monotonic())
        if self._terminal:
            self._show_terminal(done, total, unit, note, left)
        if self._prefect and total and time.monotonic() - self._last_prefect >= PREFECT_SECONDS:
            said = f"{done:,.0f} of {total:,.0f} {unit} {note}".strip()
            self._show_prefect(100.0 * min(done / total, 1.0), f"{said}, {left}" if left else said)

    def close(self, *, complete: bool) -> None:
        """Remove the bar; a stage that succeeded ends at 100 %."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if complete and self._artifact_id is not None:
            self._show_prefect(100.0, "done")

    def _show_terminal(self, done: float, total: float | None, unit: str, note: str, left: str) -> None:
        if not sys.stderr.isatty():
            if time.monotonic() - self._last_plain >= PLAIN_SECONDS:
                self._last_plain = time.monotonic()
                of = f" of {total:,.0f}" if total else ""
                said = f"  {self._name}: {done:,.0f}{of} {unit} {note}".rstrip()
                log(f"{said}, {left}" if left else said)
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
