"""The processes that clean shards: started, given one shard after another, and replaced if a page ended one.

To start one takes 1.4 s, as long as cleaning 270 pages; a shard has some hundreds or thousands of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_lake.store.files import write_whole
from tasks.corpus.clean.config import CleanConfig
from tasks.stage import Output

if TYPE_CHECKING:
    from tasks.corpus.clean.worker import Job


class Worker:
    """A process that cleans the shards it is given, and the file with what it says."""

    def __init__(self, log: Path) -> None:
        root = str(Path(__file__).resolve().parents[3])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
        self.log = log
        with open(log, "wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tasks.corpus.clean.worker"],
                stdin=subprocess.PIPE,  # a line for each job; its end tells the process that we are gone
                stdout=file,
                stderr=file,
                env=environment,
            )

    def give(self, job: Job) -> None:
        """Have a job done. Whether it was shows in its files."""
        job.at.unlink(missing_ok=True)
        path = job.done.with_suffix(".job")
        path.write_text(json.dumps(asdict(job)))
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has just ended, which the next look at it shows
            self._process.stdin.write(f"{path}\n".encode())
            self._process.stdin.flush()

    def ended(self) -> int | None:
        """Return its exit code, negative where a signal ended it; None while it lives."""
        return self._process.poll()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()


def run_all(jobs: Sequence[Job], workers: int, out: Output) -> None:
    """Run the jobs that are not done; one whose process is ended by a page is run again without that page."""
    todo = [job for job in jobs if not job.done.exists()]
    busy: dict[Worker, Job] = {}
    idle: list[Worker] = []
    started = 0
    try:
        while todo or busy:
            while todo and len(busy) < workers:
                job = todo.pop(0)
                if (worker := next((worker for worker in idle if worker.ended() is None), None)) is None:
                    worker = Worker(out.work / f"worker-{started}.log")
                    started += 1
                else:
                    idle.remove(worker)
                worker.give(job)
                busy[worker] = job
            time.sleep(0.02)
            for worker, job in list(busy.items()):
                code = worker.ended()  # asked first: what is not done when it has ended never will be
                if job.done.exists():
                    idle.append(worker)
                elif code is not None:
                    todo.insert(0, after_end(job, code, worker.log, out))
                else:
                    continue
                del busy[worker]
            out.progress(sum(job.done.exists() for job in jobs), len(jobs), "shards")
    finally:
        for worker in [*busy, *idle]:
            worker.kill()


def after_end(job: Job, code: int, log: Path, out: Output) -> Job:
    """Return the job that a process left undone: without the page that ended it, or with trafilatura kept from it.

    code: as `Worker.ended` gives it. Raises OSError where no page is to blame.
    """
    if code == 0:  # it had grown too large, and ended before it took the job
        return job
    if code > 0:  # it ended by itself: an exception, told in its log (a full disk, an artifact that is damaged)
        said = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
        raise OSError(f"Cleaning shard {job.number} failed: {said or f'exit code {code}'}")
    page = job.at.read_bytes().decode().strip() if job.at.exists() else ""
    name = signal.Signals(-code).name
    if not page or page in job.skip:
        raise OSError(f"The process that cleans shard {job.number} was ended by {name}.")
    reason = f"too_slow: longer than {job.config['page_seconds']} s" if code == -signal.SIGALRM else f"crash: {name}"
    config = CleanConfig.model_validate(job.config)
    if config.asks_trafilatura and job.phase != "judge" and page not in job.plain:
        out.warning(f"Page {page} of shard {job.number} is extracted again without trafilatura ({reason}).")
        job = replace(job, plain=[*job.plain, page])
    else:
        out.warning(f"Page {page} of shard {job.number} is left out ({reason}).")
        job = replace(job, skip=job.skip | {page: reason})
    write_whole(job.bad, json.dumps({"skip": job.skip, "plain": job.plain}))
    return job
