"""How many CPU cores this process may use, given its CPU affinity and the CPU quotas of its control groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SHAPES_NO_RESULT = "counts cores"


def usable_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use, at least 1; a quota of 1.7 cores counts as 2.

    A container with a quota sees all cores of its host: with one thread or process per core it would be throttled for
    most of every period. root: the folder that contains proc and sys.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *(max(1, round(quota)) for quota in _quotas(root))])


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quotas, in cores, of the process's control groups and of all their parent groups."""
    for folder in _groups(root):
        try:
            if (folder / "cpu.max").exists():  # version 2: "max 100000", or microseconds per period
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()  # version 1: -1 = no quota
                period = (folder / "cpu.cfs_period_us").read_text()
            if quota != "max" and int(quota) > 0:
                yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the control groups that may hold a CPU quota of this process."""
    mounts = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = mounts / controllers  # version 2 names no controllers: its groups are in the mount itself
        inside = PurePosixPath(group.lstrip("/"))
        # inside a container the path may be the host's, which does not exist here: its own folder is then the mount
        yield from (mount / each for each in (inside, *inside.parents) if ".." not in each.parts)
