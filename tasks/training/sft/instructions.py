"""Reads the user's instruction files: JSON, JSON lines, tables, folders of `datasets`; broken records have a reason."""

from __future__ import annotations

import codecs
import glob
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tasks.corpus.crawl.file_kinds import kind_of_name
from tasks.corpus.crawl.streams import open_unpacked
from tasks.corpus.pairs.reading import table_rows
from tasks.stage import PermanentError
from tasks.stage.file_patterns import matching
from tasks.training.sft.formats import Conversation, NoConversation, conversation

MAX_BYTES = 4 << 30  # of one file after unpacking; it is read into memory whole
_TABLES = (".csv", ".tsv", ".parquet", ".arrow")
_DATA = (*_TABLES, ".json", ".jsonl", ".ndjson")
_DESCRIPTIONS = ("dataset_info.json", "dataset_dict.json", "state.json")  # beside the rows of a folder of `datasets`
# The keys under which data sets put their list of records.
_WRAPPERS = ("data", "rows", "train", "examples", "instances", "records")


T = TypeVar("T")


@dataclass(frozen=True)
class Record(Generic[T]):
    """One record of a file: what was found in it, or the reason why it cannot be used and its original text."""

    place: str  # file:line, or file#number in a list
    found: T | None
    reason: str = ""
    raw: str = ""


def instruction_files(patterns: Sequence[str], field: str = "sft.data") -> list[Path]:
    """Return the files that the paths, globs and folders name; raises PermanentError if one names nothing.

    A path that exists names that file, even if it has brackets that a glob would interpret. Of a folder, all files of
    data below it are read; if some of them are a training split, as in a folder of `datasets`, these alone.
    """
    found: list[Path] = []
    for pattern in patterns:
        folder = Path(pattern).expanduser()
        matches = _of_folder(folder) if folder.is_dir() else [Path(match) for match in matching(pattern)]
        if not matches:
            raise PermanentError(f"{field} names {pattern!r}, but no file matches; paths start at {Path.cwd()}.")
        found += matches
    return list(dict.fromkeys(found))


def _of_folder(folder: Path) -> list[Path]:
    files = [Path(name) for name in matching(str(Path(glob.escape(str(folder)), "**")))]
    files = [file for file in files if kind_of_name(file.name) in _DATA and file.name not in _DESCRIPTIONS]
    named = [file for file in files if "train" in re.split(r"[^a-z]+", str(file.relative_to(folder)).lower())]
    return named or files


def fingerprint_of(patterns: Sequence[str], field: str = "sft.data") -> str | None:
    """Return a fingerprint of the files that a field names, which changes if one is edited; None if it names none."""
    if not patterns:
        return None
    digest = hashlib.sha256()
    for path in instruction_files(patterns, field):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_instructions(path: Path) -> Iterator[Record[Conversation]]:
    """Yield the conversations of a file; as `read_records`."""
    return read_records(path, conversation)


def read_records(path: Path, parse: Callable[[Any], T]) -> Iterator[Record[T]]:
    """Yield what `parse` finds in each record of a JSON list (or one wrapped as {"data": […]}), JSON lines, or a table.

    `parse` raises NoConversation with the reason if a record cannot be used. Raises PermanentError if the file as a
    whole cannot be read.
    """
    if kind_of_name(path.name) in _TABLES:
        yield from _of_table(path, parse)
        return
    data = _unpacked(path)
    items = _whole(path, data) if data.lstrip()[:1] in (b"[", b"{") else None
    if items is not None:
        for number, item in enumerate(items, start=1):
            yield _record(f"{path.name}#{number}", item, _raw(item), parse)
        return
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield _line(f"{path.name}:{number}", line, parse)


def _of_table(path: Path, parse: Callable[[Any], T]) -> Iterator[Record[T]]:
    rows = _arrow_rows(path) if path.suffix == ".arrow" else table_rows(path)
    number = 0
    try:
        for number, row in enumerate(rows, start=1):
            place = f"{path.name}#{number}"
            if isinstance(row, Mapping):
                yield _record(place, row, json.dumps(row, ensure_ascii=False, default=str), parse)
            else:
                yield Record(place, None, row.detail or row.problem or "it is no row")
    except OSError as error:
        if number == 0:
            raise PermanentError(f"{path} cannot be read: {error.strerror or error}.") from error
        yield Record(f"{path.name}#{number + 1}", None, f"the file cannot be read further: {error.strerror or error}")


def _arrow_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file that `datasets` saved, which is a stream of Arrow's batches."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise PermanentError(f"{path} is no file of the library `datasets` ({error}); save it again.") from error


def _unpacked(path: Path) -> bytes:
    with open_unpacked(path, MAX_BYTES) as file:
        data = file.read()
        if file.problem is not None:
            raise PermanentError(
                f"{path} cannot be read: {file.problem[1]}. Repair the file or take it out of the recipe."
            )
    return data.removeprefix(b"\xef\xbb\xbf")


def _whole(path: Path, data: bytes) -> list[Any] | None:
    """Return the records of a file that is a single JSON value; None if it appears to be JSON lines."""
    is_list = data.lstrip().startswith(b"[")
    try:
        value = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if is_list:
            raise PermanentError(f"{path} is {not_utf8(error)}.") from error
        return None
    except (ValueError, RecursionError) as error:
        if is_list:
            raise PermanentError(f"{path} begins as a JSON list but is not valid JSON ({error}); repair it.") from error
        return None
    if is_list:
        return list(value)
    wrapped = [name for name in _WRAPPERS if isinstance(value.get(name), list)]
    return list(value[wrapped[0]]) if wrapped else [value]


def _line(place: str, line: bytes, parse: Callable[[Any], T]) -> Record[T]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Record(place, None, not_utf8(error), line.decode("utf-8", "backslashreplace"))
    try:
        return _record(place, json.loads(text), text.strip(), parse)
    except (ValueError, RecursionError) as error:
        return Record(place, None, f"not valid JSON: {error}", text.strip())


def _record(place: str, item: Any, raw: str, parse: Callable[[Any], T]) -> Record[T]:
    try:
        return Record(place, parse(item), raw=raw)
    except NoConversation as reason:
        return Record(place, None, str(reason), raw)


def _raw(item: Any) -> str:
    """Return a record as valid UTF-8 text: a lone surrogate stays escaped, as it was in the file."""
    return json.dumps(item, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def not_utf8(error: UnicodeDecodeError) -> str:
    """Return a message about bytes that are not UTF-8, as JSON requires, and how to convert the file."""
    encoding = "UTF-16" if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "WINDOWS-1252"
    return (
        f"not UTF-8 (byte 0x{error.object[error.start]:02x} at {error.start + 1:,}); convert the file, for example "
        f"with: iconv -f {encoding} -t UTF-8"
    )
