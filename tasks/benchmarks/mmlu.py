"""MMLU (Hendrycks et al. 2021): four choices in 57 subjects, answered by letter or by the text of the choice."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

from tasks.benchmarks import base
from tasks.benchmarks.base import BadRow, Benchmark, Item, Row
from tasks.benchmarks.fields import named, text, texts
from tasks.corpus.benchmarks.formats import LETTERS

_COLUMNS = ("question", "A", "B", "C", "D", "answer")


def _parts(row: Row, subject: str) -> tuple[str, tuple[str, ...], int, str]:
    """Return question, choices, place of the answer and subject of a row of hendrycks/test or cais/mmlu."""
    question = text(row, "question", empty=True)
    choices = texts(row, "choices") if "choices" in row else tuple(text(row, letter) for letter in LETTERS)
    if len(choices) != len(LETTERS):
        raise BadRow(f"it has {len(choices)} choices, not {len(LETTERS)}")
    gold = named(row, ("answer",), tuple(LETTERS))
    return question, choices, gold, str(row.get("subject") or subject)


def by_letter(row: Row, subject: str = "") -> Item:
    """Return the item of lm-eval's `mmlu_<subject>`: the choices are listed and the answer is a letter."""
    question, choices, gold, subject = _parts(row, subject)
    return Item(
        (_listed(question, choices),),
        tuple(LETTERS),
        (gold,),
        subject,
        f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n",
        question,
        choices[gold],
        {"choices": list(choices)},
    )


def _listed(question: str, choices: Sequence[str]) -> str:
    listed = "".join(f"{letter}. {choice}\n" for letter, choice in zip(LETTERS, choices, strict=True))
    return f"{question.strip()}\n{listed}Answer:"


def without_question(item: Item) -> Item:
    """Return an item that lists its choices after an empty line instead of the question."""
    return replace(item, contexts=(_listed("", item.facts["choices"]),))


def reordered(item: Item) -> Item:
    """Return an item whose choices have moved on by one, two or three letters, depending on its question."""
    by = 1 + zlib.crc32(item.question.encode("utf-8", "surrogatepass")) % (len(LETTERS) - 1)
    choices = [item.facts["choices"][place - by] for place in range(len(LETTERS))]
    gold = (item.gold[0] + by) % len(LETTERS)
    return replace(item, contexts=(_listed(item.question, choices),), gold=(gold,), facts={"choices": choices})


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
    blind=without_question,
    reordered=reordered,
)
MMLU_CONTINUATION = replace(
    MMLU, name="mmlu_continuation", item=by_text, headline="acc_norm", blind=base.without_question, reordered=None
)
