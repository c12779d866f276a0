"""A living `textmill serve` in a process of its own, with a model that has learned nothing."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.live_up import eventually


@dataclass(frozen=True)
class Server:
    """Where it answers, and what it takes of the machine."""

    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def resident_megabytes(self) -> float:
        """Memory that it holds now."""
        return float(self.process.memory_info().rss / 1e6)


@contextlib.contextmanager
def serving(home: Path, *options: str) -> Iterator[Server]:
    """Serve the models of a home on one core until the block ends; what the server said is in serve.log there."""
    log = home / "serve.log"
    environment = {**os.environ, "TEXTMILL_HOME": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "flows.cli.entry", "serve", "--port", "0", "--device", "cpu", *options]
    with log.open("w") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
    try:

        def listens() -> re.Match[str] | None:
            assert process.poll() is None, log.read_text()
            return re.search(r"Chat at (http://\S+)", log.read_text())

        url = str(eventually(listens, 120, "the server listens")[1])

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"{url}/health", trust_env=False).status_code == 200
            return False

        eventually(answers, 300, "the server answers")
        yield Server(url, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(60)
