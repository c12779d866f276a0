"""Provenance: the commit, packages and hardware that made an artifact."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from typing import Any

from data_lake.store.fingerprint import REPOSITORY
from tasks.stage.libraries import version_of

# The packages that every stage uses; those that its own code imports are added.
PACKAGES = frozenset({"textmill", "prefect", "mlflow", "numpy", "pyarrow"})


@functools.cache
def provenance(libraries: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return what made an artifact whose code imports these distributions; no host name, user name, path or
    environment variable."""
    return {
        **_git(),
        "python": platform.python_version(),
        "packages": {name: found for name in sorted(PACKAGES | libraries) if (found := version_of(name))},
        **hardware(),
    }


@functools.cache
def hardware() -> dict[str, Any]:
    """Return a description of this machine's hardware, without its host name."""
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": _gpus(),
    }


def _git() -> dict[str, Any]:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(REPOSITORY), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return {"git_commit": git("rev-parse", "HEAD"), "git_dirty": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):  # an installed copy has no repository
        return {"git_commit": None, "git_dirty": None}


def _gpus() -> list[str]:
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except Exception:  # no driver, no library or no permission: no GPU could have been used
        return []
