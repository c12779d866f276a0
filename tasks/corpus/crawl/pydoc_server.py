"""The documentation server that ships with Python, as a web site to crawl: the same pages on any machine, offline."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 20.0
_READY = re.compile(r"Server ready at http://127\.0\.0\.1:(\d+)/")

# -I -S: only the standard library is on the path. The server stops when its standard input closes, which the kernel
# does when our process dies; Linux is also asked to kill it then, as a page being rendered would delay that.
_PROGRAM = """
import sys
if sys.platform == "linux":
    try:
        import ctypes
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    except (ImportError, OSError, AttributeError):
        pass
import pydoc
pydoc.browse(0, open_browser=False, hostname="127.0.0.1")
"""


@contextlib.contextmanager
def pydoc_server(processes: int = 1) -> Iterator[tuple[str, ...]]:
    """Start `processes` pydoc servers of Python on free loopback ports; yield their addresses (ip:port); stop them.

    One process renders one page at a time, so two of them use two cores. Raises OSError if one does not start.
    """
    with contextlib.ExitStack() as stack:
        # documenting a module imports it: any files the module writes stay in this folder
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pydoc-", ignore_cleanup_errors=True)))
        servers = [_start(stack, scratch / str(number)) for number in range(processes)]
        yield tuple(f"127.0.0.1:{_port(server, log)}" for server, log in servers)


def python_identity() -> str:
    """Return what the pages depend on: the version, build and platform of the interpreter that serves them."""
    return f"{sys.implementation.name} {sys.version} {sys.platform}"


def _start(stack: contextlib.ExitStack, folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    folder.mkdir()
    log = folder.with_suffix(".log")
    with open(log, "wb") as output:
        server = subprocess.Popen(
            [getattr(sys, "_base_executable", None) or sys.executable, "-I", "-S", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # no module may open a BROWSER; the rest is fixed because pages show it and must be identical in every run
            env={"BROWSER": "true", "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
        )
    stack.callback(_stop, server)
    return server, log


def _port(server: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready := _READY.search(log.read_text("utf-8", "replace")):
            return int(ready[1])
        if server.poll() is not None:
            break
        time.sleep(0.02)
    said = log.read_text("utf-8", "replace").strip()[-500:] or "nothing"
    raise OSError(f"Python's documentation server did not start within {START_SECONDS:g} s; it said: {said}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.kill()  # it holds no state, so it needs no orderly shutdown
    server.wait()
    if server.stdin is not None:
        server.stdin.close()
