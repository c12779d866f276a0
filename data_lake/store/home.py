"""Where textmill keeps everything: the folders and files under $TEXTMILL_HOME."""

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SHAPES_NO_RESULT = "says where things lie"

VARIABLE = "TEXTMILL_HOME"
DEFAULT = ".textmill"
# A probe of this size fails on a full disk, where an empty file might still fit into the directory block.
_PROBE_BYTES = 16 * 1024


class HomeError(OSError):
    """The home folder cannot be used; the message tells the user what to do."""


@dataclass(frozen=True)
class Home:
    """The layout of one textmill home. Every path is absolute, so that a change of directory cannot split a run."""

    root: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Home":
        """The home that $TEXTMILL_HOME names, or ./.textmill."""
        value = (os.environ if environ is None else environ).get(VARIABLE) or DEFAULT
        root = Path(value).expanduser().resolve()
        try:
            str(root).encode()
        except UnicodeEncodeError as error:
            sentence = (
                f"{VARIABLE} names {str(root)!r}, which is not UTF-8 text, as databases and URLs need: rename it."
            )
            raise HomeError(errno.EILSEQ, sentence) from error
        return cls(root)

    @property
    def lake(self) -> Path:
        """The artifact store: lake/<stage>/<key16>/."""
        return self.root / "lake"

    @property
    def mlflow_db(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        """SQLAlchemy URI of the MLflow database; absolute, as a relative one would depend on the working directory."""
        return sqlite_url(self.mlflow_db)

    @property
    def mlartifacts(self) -> Path:
        """Files that MLflow keeps (figures, tables)."""
        return self.root / "mlartifacts"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME: Prefect's profile and its SQLite database."""
        return self.root / "prefect"

    @property
    def run(self) -> Path:
        """State of running processes: lock files and the addresses of servers. Safe to delete when none is running."""
        return self.root / "run"

    @property
    def code_hashes(self) -> Path:
        """AST hashes of the sources that stages are made of; a cache, safe to delete."""
        return self.run / "code.json"

    @property
    def logs(self) -> Path:
        """Logs of the servers, one file each."""
        return self.root / "logs"

    @property
    def spool(self) -> Path:
        """What could not be sent to MLflow yet."""
        return self.root / "spool"

    def ensure(self) -> "Home":
        """Create the folders and check that they can be written to.

        Raises HomeError, a full sentence, if the disk is full or the folder is read-only or belongs to somebody else.
        """
        folders = (self.lake, self.mlartifacts, self.prefect, self.run, self.logs, self.spool)
        probe = self.run / f".probe-{os.getpid()}"
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(b"\0" * _PROBE_BYTES)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise HomeError(error.errno, explain(error, self.root)) from error
        return self


def sqlite_url(path: Path, scheme: str = "sqlite") -> str:
    """SQLAlchemy's URL of a SQLite file. It has no quoting, so a path that needs it becomes one of SQLite's URIs."""
    if re.search("[?#%]", str(path)) is None:
        return f"{scheme}:///{path}"
    # Of "sqlite:///file:/a" MLflow makes the folder `file:` below the current one; a named driver keeps it from that.
    driver = "sqlite+pysqlite" if scheme == "sqlite" else scheme
    return f"{driver}:///file:{quote(str(path))}?uri=true"


def explain(error: OSError, root: Path) -> str:
    """A sentence about an error of the file system under `root`: what is wrong and what the user can do."""
    place = error.filename or str(root)
    move = f"or move everything elsewhere with {VARIABLE}=/another/folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {root} is full: free some space there and run the same command again, {move}."
    if error.errno == errno.EROFS:
        return f"{place} is on a read-only file system: make it writable, {move}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"This user may not write to {place}: change its owner or mode, {move}."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{place} is a file where textmill needs a folder: rename it, {move}."
    return f"{place} cannot be used as textmill's home ({error.strerror or error}): repair it, {move}."
