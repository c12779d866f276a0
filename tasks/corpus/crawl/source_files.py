"""Source files, each with its unique name in documents; found on a disk by path, folder or pattern."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from tasks.corpus.crawl.file_kinds import kind_of
from tasks.corpus.crawl.streams import SUFFIXES as PACKED
from tasks.stage.file_patterns import Folder, as_name, as_text, folders, matching

IS_LIST = re.compile(rf"\.paths(?:\.txt)?(?:{'|'.join(map(re.escape, PACKED))})?\Z", re.I)


def is_remote(place: str) -> bool:
    """Return whether a source is fetched (http, https, s3) rather than read from a disk."""
    return place.startswith(("http://", "https://", "s3://"))


class NoSuchSource(FileNotFoundError):
    """A path in the recipe refers to nothing that can be read; the message is a sentence."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source. `place` is a local path or a URL; `name` is its name in documents and tables.

    The name starts at the fixed part of the pattern, so it contains no machine-specific folders. size: bytes, None if
    unknown before the file is fetched. version: values that change when a local file changes: device, inode, size,
    time of modification, time of change (ns). A file with a `problem` is only counted.
    """

    place: str
    name: str
    size: int | None = None
    problem: str | None = None
    detail: str | None = None
    version: tuple[int, ...] | None = None

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched."""
        return is_remote(self.place)


def find_local(paths: Iterable[str]) -> list[SourceFile]:
    """Return the local files that the entries name or match, with lists of paths not expanded."""
    return named(file for entry in paths if not is_remote(entry) for file in local_files(entry))


def require_local(entry: str) -> None:
    """Raise NoSuchSource if a local entry refers to nothing; stops looking at its first file."""
    next(local_files(entry))


def local_files(entry: str) -> Iterator[SourceFile]:
    """Yield the files that a path, a folder or a pattern refers to; raises NoSuchSource if there are none."""
    place = as_name(os.path.expanduser(entry))
    found = False
    if glob.has_magic(place) and not os.path.exists(place):
        fixed = re.split(r"[*?\[]", place, maxsplit=1)[0]
        root = fixed if fixed.endswith(os.sep) else os.path.dirname(fixed)
        unread: list[Folder] = []
        for path in matching(place, unread.append, odd=True):
            found = True
            # `**` matches everything there, so it is treated like a folder; a plain pattern is a deliberate choice
            yield file_below(path, root, sweeping="**" in place)
        for folder in unread:
            yield SourceFile(folder.path, _relative(folder.path, root) + "/", 0, folder.problem, folder.why)
    elif os.path.isdir(place):
        for file in _tree(place):
            found = True
            yield file
    elif os.path.isfile(place):
        found = True
        yield file_below(place, os.path.dirname(place), sweeping=False)
    if not found:
        raise NoSuchSource(f"crawl.paths: {entry!r} matches no file that can be read; paths start at {Path.cwd()}.")


def _tree(root: str) -> Iterator[SourceFile]:
    """All files below a folder. Hidden and special files and unread folders are counted."""
    for folder in folders(root):
        if folder.problem is not None:
            yield SourceFile(folder.path, _relative(folder.path, root) + "/", 0, folder.problem, folder.why)
        for name in folder.hidden:
            path = os.path.join(folder.path, name)
            yield SourceFile(path, _relative(path, root) + "/", 0, "hidden", "a hidden folder")
        for name in folder.files:
            path = os.path.join(folder.path, name)
            if name.startswith("."):
                yield SourceFile(path, _relative(path, root), 0, "hidden", "a hidden file")
            else:
                yield file_below(path, root, sweeping=True)


def file_below(path: str, root: str, *, sweeping: bool) -> SourceFile:
    """Return the file at `path`, named from `root` on; sweeping: leave out unknown types, as nobody chose them."""
    name = _relative(path, root)
    try:
        stat = os.stat(path)
    except OSError as error:  # a dead link
        return SourceFile(path, name, 0, "unreadable_file", error.strerror)
    if not S_ISREG(stat.st_mode):
        return SourceFile(path, name, 0, "unreadable_file", "a device or a pipe")
    size, version = stat.st_size, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if sweeping and not IS_LIST.search(path) and kind_of(path) is None:
        return SourceFile(path, name, 0, "unknown_type", f"{size:,} bytes of a type that is not read", version)
    return SourceFile(path, name, size, version=version)


def _relative(path: str, root: str) -> str:
    return as_text(path[len(root) :].lstrip(os.sep).replace(os.sep, "/") if root and path.startswith(root) else path)


def named(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files, each once, sorted by name; repeated names get a number."""
    seen: set[str | tuple[int, ...]] = set()
    names: dict[str, SourceFile] = {}
    for file in files:
        identity = file.version[:2] if file.version else file.place
        if identity in seen:
            continue
        seen.add(identity)
        name, copies = file.name, 1
        while name in names:
            copies += 1
            name = f"{file.name}~{copies}"
        names[name] = file if name == file.name else dataclasses.replace(file, name=name)
    return [names[name] for name in sorted(names)]
