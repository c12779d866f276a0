"""Benchmark files: found in the same way as files of crawl.paths, and read as rows in the same formats."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from tasks.corpus.crawl.csv_rows import CsvRows
from tasks.corpus.crawl.file_kinds import ARCHIVES, HTML, ROWS, kind_of
from tasks.corpus.crawl.json_rows import JsonRows
from tasks.corpus.crawl.recoded import as_utf8
from tasks.corpus.crawl.rows import rows_within
from tasks.corpus.crawl.source_files import NoSuchSource, find_local, is_remote
from tasks.corpus.crawl.source_record import Record, why
from tasks.corpus.crawl.streams import open_unpacked
from tasks.stage import PermanentError

Row = dict[str, Any]
FORMATS = "jsonl, json, csv, tsv, parquet and txt, plain or compressed (gz, zst, bz2, xz)"
_MAX_BYTES = 1 << 32  # of a file once unpacked
_MAX_ROW = 1 << 28
_TEXTS = (".txt", ".text")  # in a folder, only these and files of rows are read; a README is not a benchmark


def find_files(entry: str) -> list[Path]:
    """Return the files that an entry of decontaminate.benchmarks stands for: a path, a folder or a pattern.

    A path that exists stands for itself, even if it contains brackets. In a folder, and among the matches of `**`,
    files of other types are left out. PermanentError if nothing is left.
    """
    if is_remote(entry):
        raise PermanentError(
            f"decontaminate.benchmarks names {entry!r}, but benchmarks are read from local files: fetch it first."
        )
    try:
        found = find_local([entry])
    except NoSuchSource:
        found = []
    place = os.path.expanduser(entry)
    swept = os.path.isdir(place) or ("**" in place and not os.path.exists(place))
    paths = [
        Path(file.place) for file in found if not file.problem and (not swept or kind_of(file.place) in ROWS + _TEXTS)
    ]
    if not paths:
        bracket = " A [ in a name begins a pattern unless that very file is there; write [[] for it." * ("[" in entry)
        raise PermanentError(
            f"decontaminate.benchmarks names {entry!r}, but no file matches; it reads {FORMATS}, and paths start at "
            f"{Path.cwd()}.{bracket}"
        )
    return sorted(paths)


def is_pattern(entry: str) -> bool:
    """Return whether an entry is a pattern, and not an existing path that contains its special characters."""
    return glob.has_magic(entry) and not os.path.exists(os.path.expanduser(entry))


def read_rows(path: Path, names: Callable[[str], bool]) -> list[Any]:
    """Return the rows of a file: dicts by field name, texts, or lists of values for a csv without column names.

    names: says whether a field of this name may hold the question; it is used to recognise a csv's header and the rows
    within one large object. PermanentError says what is wrong with a file, and where.
    """
    kind = kind_of(path)
    if kind in HTML or kind in ARCHIVES:
        what = "a web page" if kind in HTML else "an archive"
        raise PermanentError(f"The benchmark {path} is {what}, which has no items; a benchmark is read from {FORMATS}.")
    try:
        rows = _parquet(path) if kind == ".parquet" else _unpacked(path, kind, names)
    except OSError as error:
        raise PermanentError(f"The benchmark {path} cannot be read ({error.strerror or error}).") from error
    if not rows:
        raise PermanentError(
            f"The benchmark {path} has no item; remove it from decontaminate.benchmarks or correct it."
        )
    return rows


def _unpacked(path: Path, kind: str | None, names: Callable[[str], bool]) -> list[Any]:
    with open_unpacked(path, _MAX_BYTES) as stream:
        if kind in (".jsonl", ".ndjson", ".json"):
            rows = _json(path, stream, names, lines=kind != ".json")
        elif kind in (".csv", ".tsv"):
            rows = _csv(path, stream, kind, names)
        else:
            rows = _lines(path, stream)
        if stream.problem:
            raise PermanentError(f"The benchmark {path} is damaged: {stream.problem[1]}.")
    return rows


def _json(path: Path, stream: IO[bytes], names: Callable[[str], bool], *, lines: bool) -> list[Any]:
    rows: list[Any] = []

    def make(row: Any, odd: bool) -> Record:
        if odd:
            raise PermanentError(f"The benchmark {path}, row {len(rows) + 1} is not UTF-8; save the file as UTF-8.")
        rows.append(row)
        return Record()

    def wanted(row: Row) -> Any:
        return next((row[name] for name in row if names(name)), None)

    def expand(row: Any) -> list[Any]:
        return (rows_within(row, wanted) if isinstance(row, dict) and not isinstance(wanted(row), str) else None) or [
            row
        ]

    reader = JsonRows(make, _MAX_ROW, None if lines else expand)
    for record in reader.lines(stream) if lines else reader.values(stream):
        if record.problem:
            raise PermanentError(f"The benchmark {path}, row {len(rows) + 1} is not JSON ({record.detail}).")
    return rows


def _csv(path: Path, stream: IO[bytes], kind: str, names: Callable[[str], bool]) -> list[Any]:
    before = csv.field_size_limit(_MAX_ROW)
    try:
        found = CsvRows(stream, kind, "", "auto", "question", _MAX_ROW)
        named = any(map(names, found.header))
        rows: list[Any] = [] if named or not found.header else [found.header]
        for row in found.rows():
            if isinstance(row, Record):
                if row.problem == "header_again":
                    continue
                number = len(rows) + 1 + named
                raise PermanentError(f"The benchmark {path}, row {number} is not a row of this table ({row.detail}).")
            rows.append(dict(zip(found.header, row, strict=True)) if named else row)
    finally:
        csv.field_size_limit(before)
    for number, row in enumerate(rows, start=1 + named):
        for value in row.values() if named else row:
            _check(path, number, value)
    return rows


def _lines(path: Path, stream: IO[bytes]) -> list[Any]:
    rows = []
    for number, line in enumerate(as_utf8(stream), start=1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape").strip()
        _check(path, number, text)
        if text:
            rows.append(text)
    return rows


def _check(path: Path, number: int, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PermanentError(
            f"The benchmark {path} cannot be read as UTF-8 text (row {number}); it must be one of {FORMATS}."
        ) from error


def _parquet(path: Path) -> list[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, partitioning=None).to_pylist()
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise PermanentError(f"The benchmark {path} is not a readable Parquet file ({why(error)}).") from error


def names_of(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the names of a row's fields, each in the form used for comparison and as it is in the file."""
    for name in row:
        yield plain_name(str(name)), name


def plain_name(name: str) -> str:
    """Return a field's name in the form used for comparison: "Best Answer" becomes best_answer."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def listed(names: Sequence[Any]) -> str:
    """Return names as a list for a message."""
    return ", ".join(map(str, names[:12])) or "none"
