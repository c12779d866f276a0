"""MMLU (Hendrycks et al. 2021): four choices in 57 subjects, answered by letter or by the text of the choice."""

from __future__ import annotations

from dataclasses import replace

from tasks.benchmarks.base import BadRow, Benchmark, Item, Row
from tasks.benchmarks.fields import field, place, text, texts
from tasks.corpus.benchmarks.formats import LETTERS

_COLUMNS = ("question", "A", "B", "C", "D", "answer")


def _parts(row: Row, subject: str) -> tuple[str, tuple[str, ...], int, str]:
    """Return question, choices, place of the answer and subject of a row of hendrycks/test or cais/mmlu."""
    question = text(row, "question")
    choices = texts(row, "choices") if "choices" in row else tuple(text(row, letter) for letter in LETTERS)
    if len(choices) != len(LETTERS):
        raise BadRow(f"it has {len(choices)} choices, not {len(LETTERS)}")
    _, answer = field(row, "answer")
    letter = answer.strip() if isinstance(answer, str) else ""
    gold = LETTERS.index(letter) if letter in tuple(LETTERS) else place(row, ("answer",), len(LETTERS))
    return question, choices, gold, str(row.get("subject") or subject)


def by_letter(row: Row, subject: str = "") -> Item:
    """Return the item of lm-eval's `mmlu_<subject>`: the choices are listed and the answer is a letter."""
    question, choices, gold, subject = _parts(row, subject)
    listed = "".join(f"{letter}. {choice}\n" for letter, choice in zip(LETTERS, choices, strict=True))
    return Item(
        (f"{question.strip()}\n{listed}Answer:",),
        tuple(LETTERS),
        (gold,),
        subject,
        f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n",
        question,
        choices[gold],
        {"choices": list(choices)},
    )


def by_text(row: Row, subject: str = "") -> Item:
    """Return the item of lm-eval's `mmlu_<subject>_continuation`: the text of the answer is scored."""
    question, choices, gold, subject = _parts(row, subject)
    return Item(
        (f"Question: {question.strip()}\nAnswer:",),
        choices,
        (gold,),
        subject,
        f"The following are questions (with answers) about {subject.replace('_', ' ')}.\n\n",
        question,
        choices[gold],
    )


MMLU = Benchmark(
    "mmlu",
    by_letter,
    evaluated="test",
    shots_from="dev",
    excludes=False,
    first_shots=True,
    columns=_COLUMNS,
    subjects_are_groups=True,
)
MMLU_CONTINUATION = replace(MMLU, name="mmlu_continuation", item=by_text, headline="acc_norm")
