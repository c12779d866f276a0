"""How many CPU cores this process may use: what its affinity and the CPU quota of its control groups leave it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SHAPES_NO_RESULT = "counts cores"


def usable_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use, at least 1; a quota of 1.7 cores counts as 2.

    A container with a quota sees all cores of its host: with a thread or a process for each of them it would be stopped
    for most of every period. root: where proc and sys are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *(max(1, round(quota)) for quota in _quotas(root))])


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quotas, in cores, of the process's control groups and of all groups that these are part of."""
    for folder in _groups(root):
        try:
            if (folder / "cpu.max").exists():  # version 2: "max 100000", or microseconds of each period
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
        # inside of a container the path may be the one on its host, which is not here: then its own folder is the mount
        yield from (mount / each for each in (inside, *inside.parents) if ".." not in each.parts)
