"""Texts and their labels, from tables of the user's or from the corpus; a row that is neither has its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.tables.documents import SPLITS
from tasks.corpus.crawl.file_kinds import ROWS, kind_of
from tasks.corpus.crawl.source_record import Record
from tasks.corpus.pairs.reading import FORMATS, table_rows
from tasks.corpus.splits import documents_of
from tasks.stage import Artifact, PermanentError
from tasks.stage.file_patterns import matching
from tasks.synthetic.pydoc import entries, module_of

if TYPE_CHECKING:
    from tasks.training.classify.config import ClassifyConfig

FIELDS = {"train": "classify.data", "val": "classify.validation_data", "test": "classify.test_data"}
"""The fields that name the files of each split."""

_TEXTS = ("text", "message", "sms", "review", "sentence", "content", "body", "document")
_LABELS = ("label", "class", "category", "target", "sentiment", "tag")


@dataclass(frozen=True)
class Row:
    """A text with its label, or the kind of reason why it cannot be used and the reason.

    page: the address of the page that the text is from; "" = none. split: what the corpus does with that page.
    """

    place: str  # file#row, or url#entry
    text: str
    label: str
    kind: str = ""
    reason: str = ""
    page: str = ""
    split: str = "train"


def label_files(patterns: Sequence[str], field: str = FIELDS["train"]) -> list[Path]:
    """Return the files that a field's paths and globs name.

    PermanentError if one names none, or a file that is no table.
    """
    found: list[Path] = []
    for pattern in patterns:
        matches = [Path(match) for match in matching(pattern)]
        if not matches:
            raise PermanentError(f"{field} names {pattern!r}, but no file matches; paths start at {Path.cwd()}.")
        found += matches
    for path in found:
        if _kind(path) not in ROWS:
            raise PermanentError(f"{field} names {path}, which is no table; labels are read from {FORMATS}.")
    return list(dict.fromkeys(found))


def held_out_files(config: ClassifyConfig) -> dict[str, list[Path]]:
    """Return the files of the splits that have files of their own.

    PermanentError also if a file is one of another split, as with a glob that matches too much.
    """
    files = {
        split: label_files(patterns, FIELDS[split])
        for split, patterns in (("train", config.data), ("val", config.validation_data), ("test", config.test_data))
    }
    split_of: dict[Path, str] = {}
    for split, paths in files.items():
        for path in paths:
            other = split_of.setdefault(path.resolve(), split)
            if other != split:
                raise PermanentError(f"{path} is in {FIELDS[other]} and in {FIELDS[split]}; name it in one of them.")
    return {split: paths for split, paths in files.items() if paths and split != "train"}


def rows_of_file(path: Path, text: str, label: str) -> Iterator[Row]:
    """Yield every row of a file. PermanentError if it cannot be opened."""
    number = 0
    try:
        for number, row in enumerate(table_rows(path, text, label, _kind(path)), start=1):
            yield _row(f"{path.name}#{number}", row, text, label)
    except OSError as error:
        if number == 0:
            raise PermanentError(f"{path} cannot be read: {error.strerror or error}.") from error
        why = f"the file cannot be read further: {error.strerror or error}"
        yield Row(f"{path.name}#{number + 1}", "", "", "broken record", why)


def rows_of(config: ClassifyConfig, corpus: Artifact | None) -> Iterator[Row]:
    """Yield every text of the config's files; without files, every entry of the corpus' documentation pages.

    The label of an entry is the package of its module; the text is name, arguments and description, without the
    module's name.
    """
    for path in label_files(config.data):
        yield from rows_of_file(path, config.text, config.label)
    if not config.data:
        assert corpus is not None, "the recipe says that labels come from files or a corpus"
        for document in documents_of(corpus.path, SPLITS):
            module = module_of(document.url, document.title)
            for number, entry in enumerate(entries(document.text, module) if module else (), start=1):
                text = "\n".join((f"{entry.name}({entry.arguments})", *entry.paragraphs))
                label, page = entry.module.split(".")[0], document.url or document.doc_id
                yield Row(f"{page}#{number}", text, label, page=page, split=document.split)


def _kind(path: Path) -> str | None:
    """Return how to read a file; one without a suffix that says so is a tsv if its first line has a tab."""
    if (kind := kind_of(path)) is not None:
        return kind
    try:
        with open(path, "rb") as file:
            return ".tsv" if b"\t" in file.readline(65_536) else None
    except OSError:
        return None


def _row(place: str, row: Any, text: str, label: str) -> Row:
    if isinstance(row, Record):
        return Row(place, "", "", "broken record", row.detail or row.problem or "")
    if not isinstance(row, Mapping):
        return Row(place, _raw(row), "", "broken record", "the row is no object with named fields")
    found: list[str] = []
    for what, column, usual in (("text", text, _TEXTS), ("label", label, _LABELS)):
        by_name = {str(name).casefold(): name for name in row}
        name = column if column else next((by_name[name] for name in usual if name in by_name), None)
        if name is None or name not in row:
            said = f"there is no column {column!r}" if column else f"no column is known to be the {what}"
            has = ", ".join(map(str, row)) or "none"
            why = f"{said}; the row has {has} (classify.{what} names it, or gives its number in a file without names)"
            return Row(place, _raw(row), "", "no column", why)
        value = row[name]
        if value is not None and not isinstance(value, str | int | float | bool):
            return Row(place, _raw(row), "", "broken record", f"{name} is a {type(value).__name__}, no {what}")
        found.append("" if value is None else str(value).strip())
    if not found[0]:
        return Row(place, "", found[1], "empty text", "the text is empty")
    if not found[1]:
        return Row(place, found[0], "", "no label", "the label is empty")
    try:
        "".join(found).encode()
    except UnicodeEncodeError:
        return Row(place, _raw(row), "", "broken record", "it has bytes that are not UTF-8")
    return Row(place, *found)


def _raw(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
