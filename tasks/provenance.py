"""Provenance: the commit, packages and hardware that made an artifact."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from typing import Any

from data_lake.fingerprint import REPOSITORY

# Packages whose version can change a result; the whole environment would be noise in every manifest.
PACKAGES = (
    "textmill", "torch", "numpy", "pyarrow", "tiktoken", "rustbpe", "resiliparse", "fastwarc", "warcio", "ftfy",
    "numba", "xxhash", "aiohttp", "protego", "safetensors", "prefect", "mlflow",
)  # fmt: skip


@functools.cache
def provenance() -> dict[str, Any]:
    """Return what made the artifacts of this process; no host name, user name, path or environment variable."""
    return {
        **_git(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
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


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus() -> list[str]:
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except Exception:  # no driver, no library, no permission: no GPU that could have been used
        return []
