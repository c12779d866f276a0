"""What crawl.paths stands for: files, folders, patterns, URLs, lists of paths; each file with one name in documents."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin, urlsplit

from tasks.crawl.config import CrawlConfig, is_remote
from tasks.crawl.files import kind_of
from tasks.crawl.streams import SUFFIXES as PACKED
from tasks.crawl.streams import open_unpacked

_LIST = re.compile(rf"\.paths(?:\.txt)?(?:{'|'.join(map(re.escape, PACKED))})?\Z", re.I)
_MAX_LIST_BYTES = 1 << 30  # Common Crawl's largest list of a crawl is 100,000 lines, 14 MB
_MAX_LIST_LINE = 4096


class NoSuchSource(FileNotFoundError):
    """A path in the recipe stands for nothing that can be read; the message is a sentence."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source. `place` is a local path or a URL; `name` is its name in documents and tables.

    The name starts at the fixed part of the pattern, so it holds no machine's folders. size: bytes, None where it is
    not known before it is fetched. With a `problem` the file is only counted.
    """

    place: str
    name: str
    size: int | None = None
    problem: str | None = None
    detail: str | None = None

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


def _expand(entry: str, config: CrawlConfig, work: Path) -> Iterator[SourceFile]:
    """The files of one entry."""
    from tasks.crawl.remote import FetchError, fetched, list_bucket

    if entry.startswith("s3://") and (entry.endswith("/") or glob.has_magic(entry)):
        try:
            found = [
                SourceFile(f"s3://{key}", key, size)
                for key, size in list_bucket(entry, config)
                if not glob.has_magic(entry) or fnmatch.fnmatchcase(key, entry.removeprefix("s3://"))
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
            text = line.decode("utf-8", "replace").strip()
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
            yield SourceFile(text, text[:500], problem="refused_path", detail=str(error))


def _line_of_list(line: str, base: str) -> SourceFile:
    """The file that a line names; raises ValueError for one that leaves the base: a list may come from anywhere."""
    if is_remote(line):
        return SourceFile(line, _name_of_url(line))
    if "://" in line or line.startswith(("/", "\\", "~")) or ".." in PurePosixPath(line).parts:
        raise ValueError(f"it leads out of {base}, to which the lines of a list are relative (crawl.path_lists.base)")
    if is_remote(base):
        return SourceFile(base.rstrip("/") + "/" + line, line)
    path = Path(os.path.expanduser(base)) / line
    return SourceFile(str(path), line, path.stat().st_size if path.is_file() else None)


def _base_of(where: str) -> str:
    """What the lines of a list are relative to unless the recipe says it: its server's root, its own folder."""
    if where.startswith("s3://"):
        return "/".join(where.split("/", 3)[:3]) + "/"
    return urljoin(where, "/") if is_remote(where) else str(Path(where).parent)


def _local(entry: str) -> Iterator[SourceFile]:
    """The local files that a path, a folder or a pattern stands for."""
    expanded = os.path.expanduser(entry)
    found = False
    if glob.has_magic(expanded) and not os.path.exists(expanded):
        fixed = re.split(r"[*?\[]", expanded, maxsplit=1)[0]
        root = fixed if fixed.endswith(os.sep) else os.path.dirname(fixed)
        for path in sorted(glob.glob(expanded, recursive=True)):
            if os.path.isfile(path):
                found = True
                # `**` sweeps up whatever lies there, so it is treated as a folder; a plain pattern is a choice
                yield _file(Path(path), Path(root), sweeping="**" in expanded)
    elif os.path.isdir(expanded):
        for file in _tree(Path(expanded)):
            found = True
            yield file
    elif os.path.isfile(expanded):
        found = True
        yield _file(Path(expanded), Path(expanded).parent, sweeping=False)
    if not found:
        raise NoSuchSource(f"crawl.paths: {entry!r} matches no file that can be read.")


def _tree(root: Path) -> Iterator[SourceFile]:
    """All files below a folder. Hidden ones and what is no plain file are counted, links to folders not followed."""
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        for name in list(subfolders):
            if name.startswith("."):
                subfolders.remove(name)
                path = Path(folder) / name
                yield SourceFile(str(path), _relative(path, root) + "/", 0, "hidden", "a hidden folder")
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith("."):
                yield SourceFile(str(path), _relative(path, root), 0, "hidden", "a hidden file")
            elif not path.is_file():
                yield SourceFile(
                    str(path), _relative(path, root), 0, "unreadable_file", "no plain file, or a dead link"
                )
            else:
                yield _file(path, root, sweeping=True)


def _file(path: Path, root: Path, *, sweeping: bool) -> SourceFile:
    size = path.stat().st_size
    if sweeping and not _LIST.search(path.name) and kind_of(path) is None:
        detail = f"{size:,} bytes of a type that is not read"
        return SourceFile(str(path), _relative(path, root), 0, "unknown_type", detail)
    return SourceFile(str(path), _relative(path, root), size)


def _relative(path: Path, root: Path) -> str:
    # names of files may be no UTF-8 on Linux; Python holds such bytes as half surrogates, which no table takes
    return path.relative_to(root).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _name_of_url(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def _named(files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files, each once, sorted by name; the second of a name gets a number."""
    from dataclasses import replace

    seen: set[str] = set()
    names: dict[str, SourceFile] = {}
    for file in files:
        identity = file.place if file.remote else os.path.realpath(file.place)
        if identity in seen:
            continue
        seen.add(identity)
        name, copies = file.name, 1
        while name in names:
            copies += 1
            name = f"{file.name}~{copies}"
        names[name] = replace(file, name=name)
    return [names[name] for name in sorted(names)]
