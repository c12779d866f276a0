"""ARC (Clark et al. 2018): questions of school science exams, in an easy and a challenging part."""

from __future__ import annotations

from dataclasses import replace

from tasks.benchmarks.base import BadRow, Benchmark, Item, Row
from tasks.benchmarks.fields import field, listed, text, texts


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a row of ai2_arc, as `datasets` has it or as ARC's authors publish it (question.stem)."""
    asked = row.get("question")
    if isinstance(asked, dict):
        row = {**asked, "question": asked.get("stem"), "answerKey": row.get("answerKey")}
    question = text(row, "question")
    _, choices = field(row, "choices")
    choices = listed(choices)
    if isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices):
        choices = {name: [choice.get(name) for choice in choices] for name in ("text", "label")}
    if not isinstance(choices, dict):
        raise BadRow("choices is neither an object of text and label nor a list of such objects")
    answers, labels = texts(choices, "text"), texts(choices, "label")
    key = text(row, "answerKey")
    if len(answers) != len(labels):
        raise BadRow(f"choices has {len(answers)} texts, but {len(labels)} labels")
    if key not in labels:
        raise BadRow(f"answerKey is {key}, but the choices are labelled {', '.join(labels)}")
    gold = labels.index(key)
    return Item((f"Question: {question}\nAnswer:",), answers, (gold,), question=question, answer=answers[gold])


ARC_EASY = Benchmark("arc_easy", item, evaluated="test", excludes=False, folder=("ARC-Easy",), headline="acc_norm")
ARC_CHALLENGE = replace(ARC_EASY, name="arc_challenge", folder=("ARC-Challenge",))
