"""The file formats of HellaSwag (jsonl) and MMLU (csv), read and written as their authors publish them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_lake.files import whole_file, write_whole
from tasks.stage import PermanentError

LETTERS = "ABCD"


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
    """Strip WikiHow's markup as lm-eval does: `[title]`, anything in brackets, and once two spaces become one."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def write_hellaswag(path: Path, items: Iterable[HellaSwagItem]) -> None:
    """Write items as JSON lines."""
    write_whole(
        path, "".join(json.dumps({**asdict(item), "label": item.label}, ensure_ascii=False) + "\n" for item in items)
    )


def read_hellaswag(path: Path) -> list[HellaSwagItem]:
    """Read a file of JSON lines; PermanentError names the line that is no HellaSwag item."""
    items = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            endings = tuple(str(ending) for ending in row["endings"])
            item = HellaSwagItem(
                ind=int(row.get("ind", number - 1)),
                activity_label=str(row["activity_label"]),
                ctx_a=str(row["ctx_a"]),
                ctx_b=str(row["ctx_b"]),
                ctx=str(row.get("ctx", "")),
                endings=endings,
                label=int(row["label"]),
                split=str(row.get("split", "val")),
                split_type=str(row.get("split_type", "")),
                source_id=str(row.get("source_id", "")),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise PermanentError(f"{path}:{number} is no HellaSwag item ({type(error).__name__}: {error}).") from error
        if not 0 <= item.label < len(endings):
            raise PermanentError(f"{path}:{number} has label {item.label}, but {len(endings)} endings.")
        items.append(item)
    return items


def write_mmlu(path: Path, items: Iterable[MmluItem]) -> None:
    """Write one subject's items: no header, six columns."""
    with whole_file(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [item.question, *item.choices, LETTERS[item.answer]] for item in items
        )


def read_mmlu(folder: Path) -> tuple[list[MmluItem], dict[str, list[MmluItem]]]:
    """Read folder/test/<subject>_test.csv and, where there are any, folder/dev/<subject>_dev.csv.

    Returns the test items of all subjects in order of their names, and the dev items by subject.
    """
    tests = sorted((folder / "test").glob("*_test.csv"))
    if not tests:
        raise PermanentError(f"{folder} holds no test/<subject>_test.csv; name the folder of MMLU's dev and test.")
    items = [item for path in tests for item in _read_subject(path, path.name.removesuffix("_test.csv"))]
    dev = {
        path.name.removesuffix("_dev.csv"): _read_subject(path, path.name.removesuffix("_dev.csv"))
        for path in sorted((folder / "dev").glob("*_dev.csv"))
    }
    return items, dev


def _read_subject(path: Path, subject: str) -> list[MmluItem]:
    items = []
    for number, row in enumerate(_csv_rows(path), start=1):
        if len(row) != 6 or row[5].strip() not in tuple(LETTERS):
            raise PermanentError(
                f"{path}, row {number} is no MMLU item: it has {len(row)} columns "
                f"{'and ends in ' + repr(row[-1]) if row else ''}; question, four choices and A, B, C or D are wanted."
            )
        items.append(MmluItem(subject, row[0], tuple(row[1:5]), LETTERS.index(row[5].strip())))
    return items


def _csv_rows(path: Path) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        yield from reader
    except csv.Error as error:
        raise PermanentError(f"{path}, line {reader.line_num} is no CSV ({error}).") from error


def _text(path: Path) -> str:
    """The text with its line ends as they are. (str.splitlines knows eight more, which MMLU has inside of fields.)"""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"{path} cannot be read as UTF-8 text ({error}); correct its path.") from error


def choices_in_order(right: str, wrong: Sequence[str], place: int) -> tuple[str, ...]:
    """Return the choices with the right one at `place`."""
    return (*wrong[:place], right, *wrong[place:])
