"""Keeps a set of background processes alive, and ends all of them, with everything they started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows.servers.parent_watch import GRACE_SECONDS

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
# A service that ran this long before it ended is restarted at once, as after its first failure.
_STABLE_SECONDS = 120.0


@dataclass
class Service:
    """One supervised process: how to start it, and how to check that it works."""

    name: str  # as a sentence names it, e.g. "The MLflow server"
    start: "Callable[[], subprocess.Popen[bytes]]"
    works: Callable[[int], bool]  # given its process id
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    delay: float = _FIRST_DELAY
    start_again: float | None = None

    def launch(self) -> None:
        """Starts the process."""
        self.process, self.started, self.start_again = self.start(), time.monotonic(), None

    def is_working(self) -> bool:
        """Whether the process is running and does its work."""
        return self.process is not None and self.process.poll() is None and self.works(self.process.pid)

    def has_ended(self) -> bool:
        """Whether the process was started and is gone."""
        return self.process is not None and self.process.poll() is not None

    def check(self) -> str | None:
        """Restart a process that ended, after twice the delay each time. Return a sentence if one ended."""
        now = time.monotonic()
        if self.start_again is not None:
            if now >= self.start_again:
                self.launch()
            return None
        if self.process is None or (code := self.process.poll()) is None:
            return None
        if now - self.started > _STABLE_SECONDS:
            self.delay = _FIRST_DELAY
        self.start_again, delay = now + self.delay, self.delay
        self.delay = min(2 * self.delay, _LONGEST_DELAY)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{self.name} ended ({how}) and will be restarted in {delay:g} s; its log is {self.log}."


def stop(services: list[Service], grace: float = GRACE_SECONDS) -> None:
    """End the services one after the other: first SIGTERM, after `grace` seconds SIGKILL.

    Everything they had started ends too, even if it moved into its own session.
    """
    for service in services:
        process = service.process
        if process is None or process.poll() is not None:
            continue
        offspring = _offspring(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        # Flow processes that are still running when their runner is gone get the rest of the grace period.
        _, alive = psutil.wait_procs(offspring, timeout=grace / 4)
        for survivor in alive:
            with contextlib.suppress(psutil.Error):
                survivor.kill()
        if process.poll() is None:
            process.kill()
            process.wait()


def _offspring(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
