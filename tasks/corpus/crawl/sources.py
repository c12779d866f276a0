"""What crawl.paths refers to: files on disk, URLs, buckets, and lists of paths."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin, urlsplit

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.source_files import IS_LIST, NoSuchSource, SourceFile, file_below, is_remote, local_files, named
from tasks.corpus.crawl.streams import open_unpacked
from tasks.stage.file_patterns import as_name, as_regex, as_text

_MAX_LIST_BYTES = 1 << 30  # the largest list of one of Common Crawl's crawls has 100,000 lines, 14 MB
_MAX_LIST_LINE = 4096


def find_sources(config: CrawlConfig, work: Path) -> list[SourceFile]:
    """Return all files that crawl.paths refers to, by name, each once; lists of paths are fetched into `work`.

    Raises NoSuchSource for an entry that refers to nothing.
    """
    return named(file for entry in config.paths for file in _expand(entry, config, work))


def _expand(entry: str, config: CrawlConfig, work: Path) -> Iterator[SourceFile]:
    """The files of one entry."""
    from tasks.corpus.crawl.remote import FetchError, fetched, list_bucket

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
        for file in local_files(entry):
            if IS_LIST.search(file.place):
                yield from _listed(Path(file.place), file.place, config)
            else:
                yield file
    elif IS_LIST.search(urlsplit(entry).path):
        try:
            with fetched(entry, config, work) as path:
                yield from _listed(path, entry, config)
        except FetchError as error:
            raise NoSuchSource(f"crawl.paths: the list {entry!r} cannot be fetched: {error.detail}") from error
    else:
        yield SourceFile(entry, _name_of_url(entry))


def _listed(path: Path, where: str, config: CrawlConfig) -> Iterator[SourceFile]:
    """The files on a list of paths, such as Common Crawl's warc.paths.gz: one per line, relative to the base."""
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
    """The file that a line names; raises ValueError for one outside the base, as a list may come from anywhere."""
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
        return SourceFile(path, as_text(line))  # reading it will report what is wrong
    return dataclasses.replace(file_below(path, base, sweeping=False), name=as_text(line))


def _base_of(where: str) -> str:
    """What the lines of a list are relative to by default: its server's root, or its own folder if it is local."""
    if where.startswith("s3://"):
        return "/".join(where.split("/", 3)[:3]) + "/"
    return urljoin(where, "/") if is_remote(where) else str(Path(where).parent)


def _name_of_url(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")
