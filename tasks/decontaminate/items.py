"""Benchmark items as text to look for: read from HellaSwag jsonl, MMLU csv, other jsonl, and plain text."""

from __future__ import annotations

import csv
import glob
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.benchmark_formats import (
    LETTERS,
    HellaSwagItem,
    MmluItem,
    clean_hellaswag,
    read_hellaswag,
    read_mmlu,
)
from tasks.decontaminate.config import DecontaminateConfig
from tasks.stage import PermanentError

# What the fields of a jsonl item are called elsewhere: lm-eval's and llm-foundry's own files, GSM8K, ARC, PIQA.
QUESTION = ("question", "query", "prompt", "context", "ctx", "goal", "text")
CHOICES = ("choices", "options", "endings")
ANSWER = ("answer", "gold", "label", "target", "output", "answerKey")


@dataclass(frozen=True)
class Item:
    """One item of a benchmark: its name within it, the question (or context), and the right answer.

    Wrong answers are not looked for: a document that has only those does not tell the right one, and most are phrases
    that stand anywhere.
    """

    benchmark: str
    name: str
    question: str
    answer: str = ""

    @property
    def text(self) -> str:
        """Question and answer as a document would have them, one after the other."""
        return f"{self.question}\n{self.answer}" if self.answer else self.question


def hellaswag_text(item: HellaSwagItem, name: str, benchmark: str = "hellaswag") -> Item:
    """Return the context with the right ending; WikiHow's markup, which pages do not have, is taken off."""
    context = clean_hellaswag(f"{item.ctx_a} {item.ctx_b}")
    return Item(benchmark, name, context, clean_hellaswag(item.endings[item.label]))


def mmlu_text(item: MmluItem, name: str, benchmark: str = "mmlu") -> Item:
    """Return the question with the right choice."""
    return Item(benchmark, name, item.question, item.choices[item.answer])


def hellaswag_texts(items: Sequence[HellaSwagItem]) -> list[Item]:
    """Return the items of a HellaSwag file, named by their number."""
    return [hellaswag_text(item, str(number)) for number, item in enumerate(items)]


def mmlu_texts(items: Sequence[MmluItem]) -> list[Item]:
    """Return the items of an MMLU folder, named by subject and number within all."""
    return [mmlu_text(item, f"{item.subject}/{number}") for number, item in enumerate(items)]


def benchmark_files(config: DecontaminateConfig) -> list[Path]:
    """Return every file that the config names, sorted within each pattern; PermanentError where one names none."""
    found: list[Path] = []
    if config.hellaswag:
        found.append(Path(config.hellaswag))
    if config.mmlu:
        found += sorted(Path(config.mmlu).glob("test/*_test.csv")) or [Path(config.mmlu) / "test"]
    for pattern in config.benchmarks:
        matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True) if Path(match).is_file())
        if not matches:
            raise PermanentError(
                f"decontaminate.benchmarks names {pattern!r}, but no file matches; paths start at {Path.cwd()}."
            )
        found += matches
    if missing := [path for path in found if not path.is_file()]:
        raise PermanentError(f"decontaminate looks for the benchmark {missing[0]}, but there is no such file.")
    return found


def read_items(config: DecontaminateConfig) -> list[Item]:
    """Return all items of all benchmarks; PermanentError names the file and line of one that cannot be read."""
    benchmark_files(config)
    items: list[Item] = []
    if config.hellaswag:
        items += hellaswag_texts(read_hellaswag(Path(config.hellaswag)))
    if config.mmlu:
        items += mmlu_texts(read_mmlu(Path(config.mmlu))[0])
    named = {item.benchmark for item in items}
    for pattern in config.benchmarks:
        for match in sorted(glob.glob(pattern, recursive=True)):
            path = Path(match)
            if path.is_file():
                name = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
                # two files of one name (test.jsonl of two benchmarks) are told apart by their folders
                name = name if name not in named else path.as_posix()
                named.add(name)
                items += read_benchmark(path, name)
    return items


def read_benchmark(path: Path, benchmark: str) -> list[Item]:
    """Return the items of one file, by its ending: .jsonl, .csv (MMLU's six columns), else an item a line."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    lines = _lines(path)
    if kind == "jsonl":
        return list(_jsonl_items(path, benchmark, lines))
    if kind == "csv":
        return list(_csv_items(path, benchmark, lines))
    return [Item(benchmark, str(number), line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PermanentError(f"The benchmark {path} cannot be read as UTF-8 text ({error}).") from error


def _jsonl_items(path: Path, benchmark: str, lines: Sequence[str]) -> Iterator[Item]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PermanentError(f"{path}:{number} is no JSON ({error}).") from error
        question = _first(row, QUESTION) if isinstance(row, dict) else None
        if not isinstance(question, str):
            raise PermanentError(
                f"{path}:{number} has no text to look for; one of the fields {', '.join(QUESTION)} must hold it."
            )
        clean = clean_hellaswag if "endings" in row else str.strip  # brackets are markup in HellaSwag only
        yield Item(benchmark, str(number), clean(question), clean(_answer(row)))


def _answer(row: dict[str, Any]) -> str:
    """Return the right answer as text: the choice that a number or letter points at, or the answer itself."""
    answer, choices = _first(row, ANSWER), _first(row, CHOICES)
    labels: list[Any] = list(LETTERS)
    if isinstance(choices, dict):  # ARC: {"text": [...], "label": ["A", ...]}
        labels, choices = choices.get("label") or labels, choices.get("text")
    if not isinstance(choices, list):
        return answer if isinstance(answer, str) else ""
    if answer in labels and not isinstance(answer, int):
        answer = labels.index(answer)
    elif isinstance(answer, str) and answer.strip().isdecimal():
        answer = int(answer)
    if isinstance(answer, int):
        return str(choices[answer]) if 0 <= answer < len(choices) else ""
    return answer if isinstance(answer, str) else ""


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _csv_items(path: Path, benchmark: str, lines: Sequence[str]) -> Iterator[Item]:
    """Yield the rows of an MMLU file: question, four choices, letter."""
    try:
        rows = list(csv.reader(line + "\n" for line in lines))
    except csv.Error as error:
        raise PermanentError(f"The benchmark {path} is no csv ({error}).") from error
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        if len(row) != 6 or row[5].strip() not in list(LETTERS):
            raise PermanentError(
                f"{path}, row {number} is no MMLU item: question, four choices and A, B, C or D are wanted, but it has "
                f"{len(row)} columns."
            )
        yield Item(benchmark, str(number), row[0], row[1 + LETTERS.index(row[5].strip())])
