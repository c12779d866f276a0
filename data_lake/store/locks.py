"""File locks that the kernel releases when their process ends, no matter how."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.05


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """Take the lock on `path` without waiting; return its file descriptor, or None if somebody else holds it.

    The lock is flock(2): it lasts until the descriptor is closed, at the latest by the kernel when the process dies,
    even by kill -9. (A lock file that names its owner outlives that owner, so after a kill the next run would wait for
    ever.) Programs started by this process do not inherit the descriptor.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(
    path: Path, *, shared: bool = False, timeout: float | None = None, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold the lock on `path` for a block; call `on_wait` once if it has to wait for somebody else.

    Raises TimeoutError after `timeout` seconds (None = wait for ever).
    """
    give_up = None if timeout is None else time.monotonic() + timeout
    while (descriptor := try_lock(path, shared=shared)) is None:
        if on_wait is not None:
            on_wait()
            on_wait = None
        if give_up is not None and time.monotonic() > give_up:
            raise TimeoutError(f"{path} is still locked by another process after {timeout:g} seconds.")
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)
