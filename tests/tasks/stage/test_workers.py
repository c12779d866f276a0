"""Mapping over shards: results by number, errors as they are, and no worker that outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.cores import usable_cores
from tasks.stage.workers import map_shards, workers_for


@pytest.mark.parametrize("workers", [1, 2])
def test_each_item_once(workers: int) -> None:
    assert dict(map_shards(os.path.basename, ["/a/1", "/b/2", "/c/3"], workers=workers)) == {0: "1", 1: "2", 2: "3"}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_the_callers(workers: int) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(map_shards(os.listdir, ["/nowhere", "/nowhere/else"], workers=workers))


def test_a_killed_worker_is_a_sentence() -> None:
    with pytest.raises(RuntimeError, match="was killed, most likely because memory ran out"):
        list(map_shards(os._exit, [1, 1], workers=2))


def test_small_corpora_start_no_process(tmp_path: Path) -> None:
    path = tmp_path / "part"
    path.write_bytes(b"x")
    assert workers_for([path], 0) == 1
    assert workers_for([path], 3) == 3
    os.truncate(path, 1 << 40)
    assert workers_for([path], 0) == usable_cores()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_when_their_parent_is_killed() -> None:
    code = """
import os, time
from tasks.stage.workers import map_shards
if __name__ == "__main__":
    for number, pid in map_shards(eval, ["__import__('os').write(1, b'%d' % __import__('os').getpid() + bytes([10])) and __import__('time').sleep(60)"] * 2, workers=2): ...
"""  # noqa: E501
    root = Path(__file__).resolve().parents[3]
    script = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
    assert script.stdout is not None
    pids = [int(script.stdout.readline()) for _ in range(2)]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    script.send_signal(signal.SIGKILL)
    script.wait()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
