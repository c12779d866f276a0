"""What crawl.paths stands for: files, folders, patterns, URLs, lists of paths; each file with one name in documents."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from urllib.parse import urljoin, urlsplit

from tasks.crawl.config import CrawlConfig, is_remote
from tasks.crawl.files import kind_of
from tasks.crawl.streams import SUFFIXES as PACKED
from tasks.crawl.streams import open_unpacked
from tasks.file_patterns import Folder, as_name, as_regex, as_text, folders, matching

_LIST = re.compile(rf"\.paths(?:\.txt)?(?:{'|'.join(map(re.escape, PACKED))})?\Z", re.I)
_MAX_LIST_BYTES = 1 << 30  # Common Crawl's largest list of a crawl is 100,000 lines, 14 MB
_MAX_LIST_LINE = 4096


class NoSuchSource(FileNotFoundError):
    """A path in the recipe stands for nothing that can be read; the message is a sentence."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source. `place` is a local path or a URL; `name` is its name in documents and tables.

    The name starts at the fixed part of the pattern, so it holds no machine's folders. size: bytes, None where it is
    not known before it is fetched. version: of a local file, what changes when it changes: device, inode, size, time
    of modification, time of change (ns). With a `problem` the file is only counted.
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


def find_sources(config: CrawlConfig, work: Path) -> list[SourceFile]:
    """Return all files that crawl.paths stands for, by name, each once; lists of paths are fetched into `work`.

    Raises NoSuchSource for an entry that stands for nothing.
    """
    return _named(file for entry in config.paths for file in _expand(entry, config, work))


def find_local(paths: Iterable[str]) -> list[SourceFile]:
    """Return the local files that the entries name or match, lists of paths as themselves."""
    return _named(file for entry in paths if not is_remote(entry) for file in _local(entry))


def require_local(entry: str) -> None:
    """Raise NoSuchSource where a local entry stands for nothing; looks no further than to its first file."""
    next(_local(entry))


def _expand(entry: str, config: CrawlConfig, work: Path) -> Iterator[SourceFile]:
    """The files of one entry."""
    from tasks.crawl.remote import FetchError, fetched, list_bucket

    if entry.startswith("s3://") and (entry.endswith("/") or glob.has_magic(entry)):
        pattern = entry.removeprefix("s3://")
        wanted = as_regex(pattern) if glob.has_magic(entry) else re.compile("")
        try:
            found = [
                SourceFile(f"s3://{key}", key, size)
                for key, size in list_bucket(entry, config)
                if wanted.match(key) or key == pattern
            ]
        except FetchError as error:
            raise NoSuchSource(f"crawl.paths: {entry!r} cannot be listed: {error.detail}") from error
        if not found:
            raise NoSuchSource(f"crawl.paths: {entry!r} matches no object of the bucket.")
        yield from found
    elif not is_remote(entry):
        for file in _local(entry):
            if _LIST.search(file.place):
                yield from _listed(Path(file.place), file.place, config)
            else:
                yield file
    elif _LIST.search(urlsplit(entry).path):
        try:
            with fetched(entry, config, work) as path:
                yield from _listed(path, entry, config)
        except FetchError as error:
            raise NoSuchSource(f"crawl.paths: the list {entry!r} cannot be fetched: {error.detail}") from error
    else:
        yield SourceFile(entry, _name_of_url(entry))


def _listed(path: Path, where: str, config: CrawlConfig) -> Iterator[SourceFile]:
    """The files on a list of paths, such as Common Crawl's warc.paths.gz: one on each line, relative to the base."""
    lines = []
    with open_unpacked(path, _MAX_LIST_BYTES) as stream:
        while line := stream.readline(_MAX_LIST_LINE):
            for text in map(str.strip, os.fsdecode(line).split("\r")):
                if text and not text.startswith("#"):
                    lines.append(text)
        if stream.problem:
            yield SourceFile(where, Path(where).name, problem=stream.problem[0], detail=stream.problem[1])
    if not lines:
        raise NoSuchSource(f"crawl.paths: the list {where!r} names no file.")
    wanted = min(config.path_lists.files or len(lines), len(lines))
    base = config.path_lists.base or _base_of(where)
    for text in (lines[number * len(lines) // wanted] for number in range(wanted)):
        try:
            yield _line_of_list(text, base)
        except ValueError as error:
            yield SourceFile(text, as_text(text[:500]), problem="refused_path", detail=as_text(str(error)))


def _line_of_list(line: str, base: str) -> SourceFile:
    """The file that a line names; raises ValueError for one that leaves the base: a list may come from anywhere."""
    if is_remote(line):
        line = as_text(line)
        return SourceFile(line, _name_of_url(line))
    if "://" in line or line.startswith(("/", "\\", "~")) or ".." in PurePosixPath(line).parts:
        raise ValueError(f"it leads out of {base}, to which the lines of a list are relative (crawl.path_lists.base)")
    if is_remote(base):
        return SourceFile(as_text(base.rstrip("/") + "/" + line), as_text(line))
    base = as_name(os.path.expanduser(base))
    path = os.path.join(base, line)
    if not os.path.isfile(path):
        return SourceFile(path, as_text(line))  # reading it says what is wrong
    return dataclasses.replace(_file(path, base, sweeping=False), name=as_text(line))


def _base_of(where: str) -> str:
    """What the lines of a list are relative to unless the recipe says it: its server's root, its own folder."""
    if where.startswith("s3://"):
        return "/".join(where.split("/", 3)[:3]) + "/"
    return urljoin(where, "/") if is_remote(where) else str(Path(where).parent)


def _local(entry: str) -> Iterator[SourceFile]:
    """The local files that a path, a folder or a pattern stands for."""
    place = as_name(os.path.expanduser(entry))
    found = False
    if glob.has_magic(place) and not os.path.exists(place):
        fixed = re.split(r"[*?\[]", place, maxsplit=1)[0]
        root = fixed if fixed.endswith(os.sep) else os.path.dirname(fixed)
        unread: list[Folder] = []
        for path in matching(place, unread.append, odd=True):
            found = True
            # `**` sweeps up whatever lies there, so it is treated as a folder; a plain pattern is a choice
            yield _file(path, root, sweeping="**" in place)
        for folder in unread:
            yield SourceFile(folder.path, _relative(folder.path, root) + "/", 0, folder.problem, folder.why)
    elif os.path.isdir(place):
        for file in _tree(place):
            found = True
            yield file
    elif os.path.isfile(place):
        found = True
        yield _file(place, os.path.dirname(place), sweeping=False)
    if not found:
        raise NoSuchSource(f"crawl.paths: {entry!r} matches no file that can be read; paths start at {Path.cwd()}.")


def _tree(root: str) -> Iterator[SourceFile]:
    """All files below a folder. Hidden ones, what is no plain file, and folders that are not read are counted."""
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
                yield _file(path, root, sweeping=True)


def _file(path: str, root: str, *, sweeping: bool) -> SourceFile:
    name = _relative(path, root)
    try:
        stat = os.stat(path)
    except OSError as error:  # a dead link
        return SourceFile(path, name, 0, "unreadable_file", error.strerror)
    if not S_ISREG(stat.st_mode):
        return SourceFile(path, name, 0, "unreadable_file", "a device or a pipe")
    size, version = stat.st_size, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if sweeping and not _LIST.search(path) and kind_of(path) is None:
        return SourceFile(path, name, 0, "unknown_type", f"{size:,} bytes of a type that is not read", version)
    return SourceFile(path, name, size, version=version)


def _relative(path: str, root: str) -> str:
    return as_text(path[len(root) :].lstrip(os.sep).replace(os.sep, "/") if root and path.startswith(root) else path)


def _name_of_url(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def _named(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files, each once, sorted by name; the second of a name gets a number."""
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
