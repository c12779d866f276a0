"""The output of a running stage: its staging folder, numbers, figures and progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.reading.ledger import Ledger
from data_lake.store.gain import Gain
from data_lake.store.lake import WORK, Artifact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHAPES_NO_RESULT = "carries what a stage makes to its folder and its run"


class Reporter:
    """Where reports for people go: MLflow, Prefect, the terminal. Losing them never stops a stage.

    This one reports nothing; it is for tests, and for stages used as plain functions.
    """

    def log(self, metrics: Mapping[str, float], step: int) -> None: ...
    def metric(self, numbers: Mapping[str, float]) -> None: ...
    def progress(self, done: float, total: float | None, unit: str, note: str) -> None: ...
    def figure(self, name: str, figure: Figure) -> None: ...
    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None: ...
    def text(self, name: str, text: str) -> None: ...
    def page(self, name: str, html: str) -> None: ...
    def message(self, text: str, *, warning: bool = False) -> None: ...


class Output:
    """The output of one stage run.

    `dir` is the staging folder: the same for every attempt at a key, so a stage finds the shards it had finished
    before it was killed. Everything in it becomes the artifact, except `work`, which holds what only the build needs
    (a crawl's frontier, a trainer's checkpoints). `refreshes` is the artifact that a refresh replaces.
    `reuse_from`, for a stage that reuses, is the newest artifact with the same config and code but other inputs.
    """

    def __init__(
        self,
        folder: Path,
        reporter: Reporter | None = None,
        refreshes: Artifact | None = None,
        reuse_from: Artifact | None = None,
    ) -> None:
        self.dir = folder
        self.work = folder / WORK
        self.work.mkdir(parents=True, exist_ok=True)
        self.refreshes, self.reuse_from = refreshes, reuse_from
        self.counts: dict[str, int] = {}
        self.metrics: dict[str, float | None] = {}
        self.accounts: Ledger | None = None
        self.gained: Gain | None = None
        self._reporter = reporter or Reporter()

    def count(self, **numbers: int) -> None:
        """Record exact counts; they are in the manifest and in every table."""
        self.counts.update({name: int(number) for name, number in numbers.items()})

    def ledger(self, ledger: Ledger) -> None:
        """Record what came in, what was kept, and what was removed and why. It must add up when the stage ends."""
        self.accounts = ledger

    def metric(self, **numbers: float | None) -> None:
        """Record headline results (None: not known; never pass a guess)."""
        self.metrics.update({name: None if number is None else float(number) for name, number in numbers.items()})
        self._reporter.metric({name: float(number) for name, number in numbers.items() if number is not None})

    def gain(self, gain: Gain) -> None:
        """Record what the stage gave on held-out items, and say it; a run ends with a table of all gains."""
        self.gained = gain
        self.metric(gain=gain.gain, gain_stderr=gain.stderr)
        if gain.clear:
            self.info(f"{gain}.")
        else:
            self.warning(f"{gain}, no gain of more than two standard errors.")

    def log(self, metrics: Mapping[str, float | None], step: int) -> None:
        """Log step metrics; unknown ones (None) are left out."""
        self._reporter.log({name: float(value) for name, value in metrics.items() if value is not None}, step)

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        """Report how far the stage is; `total` is None if that cannot be known. Cheap: call it often."""
        self._reporter.progress(done, total, unit, note)

    def figure(self, name: str, figure: Figure) -> None:
        """Show a matplotlib figure under `name` (letters, digits, dots, dashes)."""
        self._reporter.figure(name, figure)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show rows of equal fields as a table under `name`."""
        self._reporter.table(name, rows)

    def text(self, name: str, text: str) -> None:
        """Show a text under `name`."""
        self._reporter.text(name, text)

    def page(self, name: str, html: str) -> None:
        """Show a page of HTML, which needs no other file, under `name`."""
        self._reporter.page(name, html)

    def info(self, message: str) -> None:
        """Write a message to the run's log."""
        self._reporter.message(message)

    def warning(self, message: str) -> None:
        """Write a message to the run's log that somebody should act on."""
        self._reporter.message(message, warning=True)


def local_output(folder: Path) -> Output:
    """An output that reports nothing, to use a stage as a plain function."""
    folder.mkdir(parents=True, exist_ok=True)
    return Output(folder)
