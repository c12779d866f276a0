"""Ends a process soon after the one it works for is gone, also when that one was killed with kill -9."""

import os
import signal
import threading
import time

_POLL_SECONDS = 0.5
# Time for a server to close its database, or for a flow to report that it was ended, before it is killed.
GRACE_SECONDS = 10.0


def end_with(parent: int) -> None:
    """From now on, when process `parent` is no longer the parent of this one, sends SIGTERM to this process.

    A thread that looks at getppid() does this on every Unix. Linux' PR_SET_PDEATHSIG would not: it fires when the
    *thread* that started the process ends, and programs start others from worker threads.
    """
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
