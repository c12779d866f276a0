"""Locks that die with their process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_lake.store.locks import locked, try_lock

HOLDER = """
import sys, time
from pathlib import Path
from data_lake.store.locks import try_lock
descriptor = try_lock(Path(sys.argv[1]), shared=sys.argv[2] == "shared")
print("held", flush=True)
time.sleep(60)
"""


def holder(path: Path, kind: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path), kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_exclusive_until_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(path, "exclusive")
    try:
        assert try_lock(path) is None
        with pytest.raises(TimeoutError, match="still locked"), locked(path, timeout=0.1):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with locked(path, timeout=1):
        assert try_lock(path) is None


def test_shared_with_others(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(path, "shared")
    try:
        with locked(path, shared=True, timeout=1):
            pass
        assert try_lock(path) is None
    finally:
        process.kill()
        process.wait()
