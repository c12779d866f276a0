"""What is known of sources seen before: parsing the code of all stages would take half a second of every plan."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from data_lake.store.files import write_whole
from data_lake.store.home import Home

_MOST = 4096
"""Number of sources that the file remembers: the newest ones."""


class AstHashes:
    """{sha256 of a source: the hash of its AST and what else it says}, kept in one file of the home.

    The source's bytes, the Python version and the code that reads trees are all part of the name, so an entry is never
    stale. A damaged file (it has a checksum) counts as missing; if the file cannot be written, nothing is stored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _read(path)
        self._new = False

    @staticmethod
    @functools.lru_cache(maxsize=8)
    def _at(path: Path) -> AstHashes:
        return AstHashes(path)

    @classmethod
    def of_home(cls) -> AstHashes:
        """The file of this process's home, read once."""
        return cls._at(Home.from_env().code_hashes)

    def get(self, source: bytes, compute: Callable[[bytes], str]) -> str:
        """Return what `compute` says of a source, computed only if these bytes are new."""
        name = hashlib.sha256(_salt() + source).hexdigest()
        if name not in self._known:
            self._known[name] = compute(source)
            self._new = True
        return self._known[name]

    def save(self) -> None:
        """Write what is new, if there is a home to write it to."""
        if not self._new or not self.path.parent.is_dir():
            return
        entries = dict(list(self._known.items())[-_MOST:])
        with contextlib.suppress(OSError):
            text = json.dumps({"sha256": _checksum(entries), "hashes": entries})
            write_whole(self.path, text, durable=False, concurrent=True)
            self._new = False


@functools.cache
def _salt() -> bytes:
    reader = Path(__file__).with_name("python_source.py").read_bytes()
    return hashlib.sha256(repr(sys.version_info).encode() + reader).digest()


def _read(path: Path) -> dict[str, str]:
    try:
        stored = json.loads(path.read_bytes())
        entries = {str(name): str(value) for name, value in stored["hashes"].items()}
        return entries if stored["sha256"] == _checksum(entries) else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _checksum(entries: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
