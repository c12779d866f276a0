"""The processes that clean shards: started, given one shard after another, and replaced if a page ended one.

Starting one takes 1.4 s, as long as cleaning 270 pages; a shard has hundreds or thousands of pages.
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
    """A process that cleans the shards it is given, and its log file."""

    def __init__(self, log: Path) -> None:
        root = str(Path(__file__).resolve().parents[3])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
        self.log = log
        with open(log, "wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tasks.corpus.clean.worker"],
                stdin=subprocess.PIPE,  # one line per job; end of file tells the process that we have exited
                stdout=file,
                stderr=file,
                env=environment,
            )

    def give(self, job: Job) -> None:
        """Give the process a job; the job's files show whether it has been done."""
        job.at.unlink(missing_ok=True)
        path = job.done.with_suffix(".job")
        path.write_text(json.dumps(asdict(job)))
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has just ended, which the next call of `ended` shows
            self._process.stdin.write(f"{path}\n".encode())
            self._process.stdin.flush()

    def ended(self) -> int | None:
        """Return its exit code, negative if a signal ended it; None while it is running."""
        return self._process.poll()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()


def run_all(jobs: Sequence[Job], workers: int, out: Output) -> None:
    """Run the jobs that are not done; a job whose process was ended by a page is repeated as `after_end` says."""
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
                code = worker.ended()  # read before `done`: a job not done after this end never will be
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
    """Return the job that a process left unfinished, without the page that ended it or without trafilatura there.

    code: as `Worker.ended` returns it. Raises OSError if no page is to blame.
    """
    if code == 0:  # it had grown too large and ended before it took the job
        return job
    if code > 0:  # an exception ended it, which is in its log (a full disk, a damaged artifact)
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
