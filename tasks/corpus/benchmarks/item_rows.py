"""A row of a benchmark as an item: which field has the question, which the choices, and which choice is right."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.corpus.benchmarks.formats import clean_hellaswag, mmlu_item
from tasks.corpus.benchmarks.item import Item, mmlu_text
from tasks.corpus.benchmarks.rows import Row, listed, plain_name, read_rows
from tasks.stage import PermanentError

# What the fields are called in the files of lm-eval, llm-foundry, GSM8K, MATH, ARC, PIQA, MMLU-Pro, MedMCQA, MedQA,
# TruthfulQA, GPQA, SciQ, HumanEval, WinoGrande and others: names as `plain_name` returns them. The first one that a
# row has is used.
QUESTION = (
    "question", "query", "prompt", "problem", "ctx", "context", "goal", "instruction", "input", "sentence",
    "premise", "statement", "text",
)  # fmt: skip
CHOICES = ("choices", "options", "endings", "mc1_targets")
ANSWER = (
    "answer", "gold", "label", "target", "output", "answerkey", "answer_key", "answer_index", "answer_idx", "cop",
    "correct_answer", "best_answer", "solution", "canonical_solution", "answers",
)  # fmt: skip
# Names of the columns in files that have one column per choice.
_COLUMNS = (
    tuple(string.ascii_lowercase[:12]),
    *(tuple(f"{name}{n}" for n in range(1, 13)) for name in ("choice", "choice_", "option", "option_", "ending")),
    ("sol1", "sol2"),
    *(tuple(f"{name}{letter}" for letter in "abcdefghijkl") for name in ("choice_", "option_", "op", "option")),
)  # fmt: skip
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?\Z")
_MAX_LITERAL = 100_000  # characters of a list written as text; longer ones could overflow the parser's stack


def read_benchmark(path: Path, benchmark: str) -> list[Item]:
    """Return the items of one file; PermanentError names the file and the row that cannot be read."""
    rows = read_rows(path, lambda name: plain_name(name) in QUESTION)
    if isinstance(rows[0], list):
        return [_mmlu(path, benchmark, number, row) for number, row in enumerate(rows, start=1)]
    plain = [
        {plain_name(str(name)): value for name, value in row.items()} if isinstance(row, dict) else row for row in rows
    ]
    first = _first_number(plain)
    return [_item(path, benchmark, number, row, first) for number, row in enumerate(plain, start=1)]


def _mmlu(path: Path, benchmark: str, number: int, row: list[str]) -> Item:
    """Return the item of a row of MMLU's own files, which have no column names: question, choices, letter."""
    item = mmlu_item(benchmark, row)
    if item is None:
        raise PermanentError(
            f"{path}, row {number} is not an MMLU item: question, four choices and A, B, C or D are wanted, but it has "
            f"{len(row)} columns. In any other table the first row must name the columns, one of them {QUESTION[0]}."
        )
    return mmlu_text(item, str(number), benchmark)


def _item(path: Path, benchmark: str, number: int, row: Any, first: int) -> Item:
    if isinstance(row, str) and row.strip():
        return Item(benchmark, str(number), row.strip())
    question = _field(row, QUESTION) if isinstance(row, dict) else None
    if not isinstance(question, str):
        have = f"it has {listed(list(row))}" if isinstance(row, dict) else "it is not an object"
        raise PermanentError(
            f"{path}, row {number} has no text to look for: one of the fields {', '.join(QUESTION)} must have it, but "
            f"{have}."
        )
    # only in HellaSwag are brackets markup
    clean = clean_hellaswag if "endings" in row else str.strip
    choices, labels = choices_of(row)
    return Item(
        benchmark, str(number), clean(question), clean(_answer(row, choices, labels, first)), tuple(map(clean, choices))
    )


def choices_of(row: Row) -> tuple[list[str], list[Any]]:
    """Return the choices of a row and, if it has them, the labels by which the answer may name a choice."""
    choices: Any = _field(row, CHOICES)
    labels: Any = []
    if isinstance(choices, str):  # a list written as text in a csv column
        if len(choices) > _MAX_LITERAL:
            return [], []
        try:
            choices = ast.literal_eval(choices)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [], []
    if isinstance(choices, dict):
        names = {plain_name(str(name)): value for name, value in choices.items()}
        texts = names.get("text", names.get("choices"))
        if isinstance(texts, list):  # ARC: {"text": [...], "label": ["A", ...]}
            labels, choices = names.get("label") or names.get("labels") or [], texts
        else:  # MedQA: {"A": "...", "B": ...}
            labels, choices = list(choices), list(choices.values())
    if choices is None:
        for columns in _COLUMNS:
            found = [row[name] for name in columns if isinstance(row.get(name), str)]
            if len(found) > 1:
                return found, []
    if not isinstance(choices, list | tuple):
        return [], []
    texts = [_text(choice) for choice in choices]
    return texts, list(labels) if isinstance(labels, list) and len(labels) == len(texts) else []


def _text(choice: Any) -> str:
    if isinstance(choice, dict):  # {"label": "A", "text": "..."}
        choice = _field({plain_name(str(name)): value for name, value in choice.items()}, ("text", "content"))
    return choice if isinstance(choice, str) else "" if choice is None else str(choice)


def _answer(row: Row, choices: Sequence[str], labels: Sequence[Any], first: int) -> str:
    """Return the right answer as text: the choice that a number or letter refers to, or the answer itself."""
    answer = _field(row, ANSWER)
    if isinstance(answer, dict):  # SQuAD: {"text": [...]}
        answer = answer.get("text")
    if isinstance(answer, list):
        answer = answer[0] if answer else None
    if not choices:
        return answer if isinstance(answer, str) else ""
    if labels and set(labels) <= {0, 1}:  # TruthfulQA: 1 marks the right ones
        return choices[labels.index(1)] if 1 in labels else ""
    names = [str(label).strip().upper() for label in labels] or list(string.ascii_uppercase[: len(choices)])
    if isinstance(answer, str) and answer.strip() and answer not in choices:
        letter = _LETTER.match(answer.strip())
        name = (letter[1] if letter else answer.strip()).upper()
        if name in names:
            return choices[names.index(name)]
    number = _number(answer)
    if number is None or answer in choices:
        return answer if isinstance(answer, str) else ""
    return choices[number - first] if 0 <= number - first < len(choices) else ""


def _number(answer: Any) -> int | None:
    """Return an answer that is a number as int: also a text of digits, or a float from a table with gaps."""
    if isinstance(answer, bool):
        return int(answer)
    if isinstance(answer, float) and answer.is_integer():
        return int(answer)
    if isinstance(answer, str) and answer.strip().isdecimal():
        return int(answer)
    return answer if isinstance(answer, int) else None


def _first_number(rows: Sequence[Any]) -> int:
    """Return the number of the first choice in a file: 1 if some answer equals its number of choices and none is 0."""
    numbers = []
    for row in rows:
        if isinstance(row, dict):
            choices, labels = choices_of(row)
            number = _number(_field(row, ANSWER))
            if choices and not labels and number is not None:
                numbers.append((number, len(choices)))
    return int(any(number == count for number, count in numbers) and all(number for number, _ in numbers))


def _field(row: Row, names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
