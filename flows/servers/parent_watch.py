"""Ends a process soon after its parent or its home is gone, even if the parent was killed with kill -9."""

import os
import signal
import threading
import time
from pathlib import Path

_POLL_SECONDS = 0.5
# Time for a server to close its database, or for a flow to report its end, before it is killed.
GRACE_SECONDS = 10.0


def end_with(parent: int) -> None:
    """From now on, send SIGTERM to this process as soon as process `parent` is no longer its parent.

    A thread that watches getppid() works on every Unix. Linux's PR_SET_PDEATHSIG would not do: it fires when the
    *thread* that started the process ends, and programs start others from worker threads.
    """
    threading.Thread(target=_watch, args=(parent,), name="parent_watch", daemon=True).start()


def end_with_folder(folder: Path) -> None:
    """From now on, send SIGTERM to this process as soon as `folder` is deleted, moved away or replaced."""
    threading.Thread(target=_watch_folder, args=(SameFolder(folder),), name="parent_watch", daemon=True).start()


class SameFolder:
    """Knows whether a folder is still the same one: a new one at the same path belongs to somebody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun = _identity(folder)

    def is_here(self) -> bool:
        """False only if it is certainly gone; a file system that is not responding for a while proves nothing."""
        try:
            return _identity(self._folder) == self._begun
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    _end_this_process()


def _watch_folder(folder: SameFolder) -> None:
    while folder.is_here():
        time.sleep(_POLL_SECONDS)
    _end_this_process()


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
