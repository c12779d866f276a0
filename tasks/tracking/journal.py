"""The tracking journal: what a run reports is written to disk at once and sent to MLflow from there.

Training must not wait for a tracking server, must survive its failure, and must lose no data when it comes back. So a
run appends lines to a file (microseconds), and one background thread sends them in batches. Entries that a killed or
offline process left behind are sent by the next one, and an unfinished run whose process is gone is ended as KILLED.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_lake.store.files import write_whole
from data_lake.store.locks import try_lock
from tasks.tracking.mlflow_client import Refused, Sender

# Each flush is a transaction: two per second cost a training run 1 to 2 % of its processor time.
FLUSH_SECONDS = 5.0
WRITER = "writer"  # the file that a journal's process keeps locked while it runs
RETRY_SECONDS = 2.0


class Journal:
    """The journal of one MLflow run: `<spool>/<id>/journal.jsonl`, with the files to upload beside it."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.id = uuid.uuid4().hex
        self.folder = spool / self.id
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        self._writing = try_lock(self.folder / WRITER)  # before the journal can be found
        self._lock = threading.Lock()
        self._file = (self.folder / "journal.jsonl").open("a", encoding="utf-8")

    @property
    def run_id(self) -> str | None:
        """The MLflow run, once the server has created one."""
        return run_id_of(self.spool, self.id)

    def write(self, op: str, **fields: Any) -> None:
        """Append one entry; `t` is the time in milliseconds, as MLflow counts."""
        line = json.dumps({"op": op, "t": int(time.time() * 1000), **fields}, allow_nan=True)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def new_file(self, name: str) -> Path:
        """Return a path for writing a file that `write("file", ...)` then uploads."""
        path = self.folder / "files" / f"{uuid.uuid4().hex[:8]}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def close(self) -> None:
        """Close the file; the entries stay until they are sent."""
        self._file.close()
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None


class Drainer:
    """Sends journals to MLflow in the background until `close`; retries while the server is unreachable."""

    def __init__(self, spool: Path, sender: Sender) -> None:
        self.spool = spool
        self._sender = sender
        self._wake = threading.Event()
        self._closing = False
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._loop, name="textmill-tracking", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> bool:
        """Spend at most `timeout` seconds on sending the rest; return whether everything was sent."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not unsent(self.spool)

    def _loop(self) -> None:
        while True:
            finishing = self._closing
            try:
                for folder in unsent(self.spool):
                    drain(self.spool, folder, self._sender)
                self.problem = None
            except Exception as error:
                self.problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason'}"[
                    :200
                ]
                if finishing:
                    return
            if finishing:
                return
            self._wake.wait(RETRY_SECONDS if self.problem else FLUSH_SECONDS)


def unsent(spool: Path) -> list[Path]:
    """Folders of journals with something left to send, even if only the end of a dead process's run; oldest first."""
    found = []
    for path in spool.glob("*/journal.jsonl"):
        with contextlib.suppress(OSError):
            if path.stat().st_size > _state(path.parent)["offset"] or is_abandoned(path.parent):
                found.append((path.stat().st_mtime_ns, path.parent))
    return [folder for _, folder in sorted(found)]


def is_abandoned(folder: Path) -> bool:
    """Return whether the process that wrote a journal is gone."""
    lock = try_lock(folder / WRITER)
    if lock is not None:
        os.close(lock)
    return lock is not None


def drain(spool: Path, folder: Path, sender: Sender) -> None:
    """Send the new entries of a journal; raises if the server cannot be reached, without losing anything.

    The position is saved after each batch. After a kill between sending and saving, one batch is sent twice, but MLflow
    stores it once (the primary key of a metric is its whole row).
    """
    try:
        lock = try_lock(folder / "lock")
    except FileNotFoundError:
        return  # another process has sent everything
    if lock is None:
        return  # another process is sending this one
    try:
        if not (folder / "journal.jsonl").exists():
            return
        state = _state(folder)
        abandoned = is_abandoned(folder)  # checked before reading the last entry: the process may end in between
        for entries, offset in _batches(folder / "journal.jsonl", state["offset"]):
            if not state["run_id"] and not _resolve(entries[0], state, spool):
                return  # the run it continues is not known yet; that journal is sent first
            state["finished"] = _send(entries, state, folder, sender)
            state["offset"], state["time"] = offset, entries[-1]["t"]
            write_whole(folder / "state.json", json.dumps(state), durable=False, concurrent=True)
            if state["run_id"]:
                write_whole(_sent(spool, folder.name), state["run_id"], durable=False, concurrent=True)
        if abandoned and state["run_id"] and not state.get("finished"):
            _send([{"op": "finish", "status": "KILLED", "t": state.get("time")}], state, folder, sender)
        if abandoned or (state.get("finished") and state["offset"] == (folder / "journal.jsonl").stat().st_size):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _resolve(entry: Mapping[str, Any], state: dict[str, Any], spool: Path) -> bool:
    """Find the run that a journal continues (a stage resumed after a kill continues its MLflow run)."""
    earlier = entry.get("continues")
    if not earlier:
        return True
    state["run_id"] = run_id_of(spool, earlier)
    return not (spool / earlier / "journal.jsonl").exists()  # sent first, without its end


def run_id_of(spool: Path, journal_id: str) -> str | None:
    """The MLflow run that a journal was sent to, or None if nothing has been sent yet."""
    with contextlib.suppress(OSError):
        return _sent(spool, journal_id).read_text().strip() or None
    return None


def _sent(spool: Path, journal_id: str) -> Path:
    return spool / "sent" / journal_id


def _state(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((folder / "state.json").read_text()))
    return {"run_id": run_id_of(folder.parent, folder.name), "offset": 0}


def _batches(path: Path, offset: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Yield (entries, offset after them): up to 200 metric entries at once, other entries one by one."""
    batch: list[dict[str, Any]] = []
    with path.open("rb") as file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            entry: dict[str, Any] | None = None
            with contextlib.suppress(ValueError):
                entry = json.loads(raw)
            if entry is not None and entry["op"] != "metrics" and batch:
                yield batch, offset
                batch = []
            offset += len(raw)
            if entry is None:
                continue
            batch.append(entry)
            if entry["op"] != "metrics" or len(batch) == 200:
                yield batch, offset
                batch = []
    if batch:
        yield batch, offset


def _send(entries: list[dict[str, Any]], state: dict[str, Any], folder: Path, sender: Sender) -> bool:
    """Send one batch; return whether it ended the run. Entries the server rejects for good are noted and skipped."""
    first = entries[0]
    try:
        match first["op"]:
            case "start":
                state["run_id"] = sender.start(first, state["run_id"])
            case "metrics":
                sender.metrics(state["run_id"], entries)
            case "tags":
                sender.tags(state["run_id"], first["values"])
            case "params":
                sender.params(state["run_id"], first["values"])
            case "inputs":
                sender.inputs(state["run_id"], first["datasets"])
            case "file":
                sender.file(state["run_id"], folder / "files" / first["file"], first["to"])
            case "model":
                sender.model(state["run_id"], first)
            case "finish":
                sender.finish(state["run_id"], first["status"], first["t"])
                return True
    except Refused as refused:
        with (folder.parent / "refused.log").open("a", encoding="utf-8") as log:
            log.write(f"{folder.name} {first['op']}: {refused}\n")
    return False


def numbers(values: Mapping[str, float]) -> dict[str, float]:
    """A metric name with only the characters that MLflow allows."""
    return {"".join(c if c.isalnum() or c in "_-./: " else "_" for c in name): value for name, value in values.items()}
