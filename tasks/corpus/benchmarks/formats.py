"""The file formats of HellaSwag (jsonl) and MMLU (csv), read and written as their authors publish them."""

from __future__ import annotations

import csv
import io
import json
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_lake.store.files import whole_file, write_whole
from tasks.stage import PermanentError
from tasks.stage.json_kinds import kind_of

LETTERS = "ABCD"
_SHOWN = 5  # how many problems of a file a message lists


@dataclass(frozen=True)
class HellaSwagItem:
    """One line of hellaswag_val.jsonl (rowanz/hellaswag, data/README.md)."""

    ind: int
    activity_label: str
    ctx_a: str
    ctx_b: str
    ctx: str
    endings: tuple[str, ...]
    label: int
    split: str = "val"
    split_type: str = "zeroshot"
    source_id: str = ""


@dataclass(frozen=True)
class MmluItem:
    """One row of a subject's csv (hendrycks/test): question, four choices, the letter of the right one."""

    subject: str
    question: str
    choices: tuple[str, ...]
    answer: int


def clean_hellaswag(text: str) -> str:
    """Strip WikiHow's markup as lm-eval does: `[title]`, anything in brackets, and double spaces (in a single pass)."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def write_hellaswag(path: Path, items: Iterable[HellaSwagItem]) -> None:
    """Write items as JSON lines."""
    write_whole(
        path, "".join(json.dumps({**asdict(item), "label": item.label}, ensure_ascii=False) + "\n" for item in items)
    )


def read_hellaswag(path: Path) -> list[HellaSwagItem]:
    """Read a file of JSON lines; PermanentError lists the lines that are not HellaSwag items, with the reasons."""
    items, problems, unlabelled = [], [], 0
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            items.append(_hellaswag_item(row, number))
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number}: {error}")
        except _Unlabelled:
            unlabelled += 1
    if unlabelled:
        raise PermanentError(
            f"{unlabelled:,} of {unlabelled + len(items) + len(problems):,} items of {path} have no label. HellaSwag's "
            "test set is published without answers, so no accuracy can be measured; name hellaswag_val.jsonl instead."
        )
    if problems:
        shown = "; ".join(problems[:_SHOWN]) + (
            f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
        )
        raise PermanentError(
            f"{path} has {len(problems):,} lines that are not HellaSwag items ({shown}); correct them."
        )
    return items


class _Unlabelled(Exception):
    """An item without its answer."""


def _hellaswag_item(row: Any, number: int) -> HellaSwagItem:
    """Return the item of a parsed line; ValueError says which field is wrong. Nothing is coerced."""
    if not isinstance(row, dict):
        raise ValueError(f"it is {kind_of(row)}, not an object")
    texts = {name: row.get(name, "") for name in ("ctx", "split", "split_type", "source_id")}
    for name in ("activity_label", "ctx_a", "ctx_b"):
        if name not in row:
            raise ValueError(f"{name} is missing")
        texts[name] = row[name]
    for name, value in texts.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} is {kind_of(value)}, not a text")
    endings = row.get("endings")
    if not (isinstance(endings, list) and endings and all(isinstance(ending, str) for ending in endings)):
        wrong = next((e for e in endings if not isinstance(e, str)), endings) if isinstance(endings, list) else endings
        raise ValueError(
            f"endings is not a list of texts, but {'has ' if isinstance(endings, list) else ''}{kind_of(wrong)}"
        )
    for name, value in (*texts.items(), *(("endings", ending) for ending in endings)):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"{name} has half a surrogate pair, which is no character")
    if row.get("label") in (None, ""):
        raise _Unlabelled
    label = _whole_number(row["label"], "label")
    if not 0 <= label < len(endings):
        raise ValueError(f"label is {label}, but there are {len(endings)} endings")
    ind = _whole_number(row.get("ind", number - 1), "ind")
    return HellaSwagItem(ind=ind, endings=tuple(endings), label=label, **{**texts, "split": texts["split"] or "val"})


def _whole_number(value: Any, name: str) -> int:
    """Return a whole number; a string of digits, as `datasets` writes labels, is converted, all else refused."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is {kind_of(value)}, not a whole number")
    return value


def write_mmlu(path: Path, items: Iterable[MmluItem]) -> None:
    """Write one subject's items: no header, six columns."""
    with whole_file(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [item.question, *item.choices, LETTERS[item.answer]] for item in items
        )


def read_mmlu(folder: Path) -> tuple[list[MmluItem], dict[str, list[MmluItem]]]:
    """Read folder/test/<subject>_test.csv and, if there are any, folder/dev/<subject>_dev.csv.

    Returns the test items of all subjects, sorted by subject, and the dev items by subject.
    """
    tests = mmlu_files(folder, "test")
    if not tests:
        raise PermanentError(f"{folder} holds no test/<subject>_test.csv; name the folder of MMLU's dev and test.")
    items = [item for subject, path in tests.items() for item in _read_subject(path, subject)]
    return items, {subject: _read_subject(path, subject) for subject, path in mmlu_files(folder, "dev").items()}


def mmlu_files(folder: Path, part: str) -> dict[str, Path]:
    """Return the file of each subject in a part ("test" or "dev") of MMLU's folder, sorted by file name."""
    paths = sorted((folder / part).glob(f"*_{part}.csv"))
    return {path.name.removesuffix(f"_{part}.csv"): path for path in paths}


def mmlu_item(subject: str, row: Sequence[str]) -> MmluItem | None:
    """Return the item of a row, or None if the row does not consist of a question, its choices (four in MMLU itself)
    and the letter of the right one."""
    choices = tuple(row[1:-1])
    letter = row[-1].strip() if row else ""
    if len(choices) < 4 or letter not in tuple(string.ascii_uppercase[: len(choices)]):
        return None
    return MmluItem(subject, row[0], choices, string.ascii_uppercase.index(letter))


def _read_subject(path: Path, subject: str) -> list[MmluItem]:
    items = []
    for number, row in enumerate(_csv_rows(path), start=1):
        item = mmlu_item(subject, row)
        if item is None or len(item.choices) != len(LETTERS):
            raise PermanentError(
                f"{path}, row {number} is not an MMLU item: it has {len(row)} columns "
                f"{'and ends in ' + repr(row[-1]) if row else ''}; question, four choices and A, B, C or D are wanted."
            )
        items.append(item)
    return items


def _csv_rows(path: Path) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        yield from reader
    except csv.Error as error:
        raise PermanentError(f"{path}, line {reader.line_num} is not CSV ({error}).") from error


def _text(path: Path) -> str:
    """Return the text with unchanged line ends. (str.splitlines splits at eight others, found in MMLU fields.)"""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{path} cannot be read ({error.strerror}); correct its path.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PermanentError(
            f"{path} cannot be read as UTF-8 text: line {line:,} has the byte 0x{data[error.start]:02x} "
            f"({error.reason}); save the file as UTF-8, or correct its path."
        ) from error


def choices_in_order(right: str, wrong: Sequence[str], place: int) -> tuple[str, ...]:
    """Return the choices with the right one at `place`."""
    return (*wrong[:place], right, *wrong[place:])
