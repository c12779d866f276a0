"""A few rows of each benchmark in its official format, made up, for parity tests."""

from __future__ import annotations

import random
from typing import Any

_TEXT = (
    "the heron walked over a frozen lake and sang on then the baker in town sold bread, stones. rain fell other often "
    "Maria thought of winter music, of a lantern with green glass and its long shadow on the northern wall"
)
WORDS = _TEXT.split()


def words(source: random.Random, least: int, most: int) -> str:
    """Return some random words."""
    return " ".join(source.choices(WORDS, k=source.randint(least, most)))


def rows_of(task: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows of a benchmark, other ones for another seed."""
    source = random.Random(f"{task.removesuffix('_continuation')} {seed}")
    return [ROWS[task](source, number) for number in range(count)]


def _hellaswag(source: random.Random, number: int) -> dict[str, Any]:
    endings = [f"{words(source, 2, 7)} [step] {words(source, 1, 3)}  ." for _ in range(4)]
    fields = {"activity_label": words(source, 1, 2), "ctx_a": words(source, 5, 12), "ctx_b": words(source, 1, 2)}
    label = str(source.randrange(4))
    return {"ind": number, **fields, "ctx": "", "endings": endings, "label": label, "source_id": f"wikihow~{number}"}


def _arc(source: random.Random, number: int) -> dict[str, Any]:
    labels = ["A", "B", "C", "D", "E"][: source.randint(3, 5)] if number % 2 else ["1", "2", "3", "4"]
    choices = {"text": [words(source, 1, 6) for _ in labels], "label": labels}
    question = words(source, 5, 12) + "?"
    return {"id": f"q{number}", "question": question, "choices": choices, "answerKey": source.choice(labels)}


def _piqa(source: random.Random, number: int) -> dict[str, Any]:
    ways = {"sol1": words(source, 2, 9), "sol2": words(source, 2, 9)}
    return {"goal": words(source, 3, 8), **ways, "label": source.randrange(2)}


def _winogrande(source: random.Random, number: int) -> dict[str, Any]:
    sentence = f"{words(source, 3, 7)} because _ {words(source, 2, 6)}."
    return {"sentence": sentence, "option1": "Maria", "option2": "the baker", "answer": source.choice("12")}


def _truthfulqa(source: random.Random, number: int) -> dict[str, Any]:
    one = [words(source, 1, 6) for _ in range(4)]
    several = {"choices": [words(source, 1, 6) for _ in range(5)], "labels": [1, 1, 0, 0, 0]}
    question = words(source, 4, 8) + "?"
    return {"question": question, "mc1_targets": {"choices": one, "labels": [1, 0, 0, 0]}, "mc2_targets": several}


def _lambada(source: random.Random, number: int) -> dict[str, Any]:
    return {"text": words(source, 8, 20) if number else "a\\n\\n quoted line said the heron"}


def _wikitext(source: random.Random, number: int) -> dict[str, Any]:
    head = f" = {words(source, 1, 2)} = \n \n = = A part = = \n "
    body = f'the 1 @,@ 200 " quoted " words , it \'s ( a note ) {words(source, 40, 120 * (number + 1))} . \n'
    return {"page": head + body}


def _mmlu(source: random.Random, number: int) -> dict[str, Any]:
    choices = [words(source, 1, 5) for _ in range(4)]
    return {"question": f" {words(source, 4, 9)}? ", "subject": "", "choices": choices, "answer": source.randrange(4)}


ROWS = {
    "hellaswag": _hellaswag,
    "arc_easy": _arc,
    "arc_challenge": _arc,
    "piqa": _piqa,
    "winogrande": _winogrande,
    "truthfulqa_mc1": _truthfulqa,
    "truthfulqa_mc2": _truthfulqa,
    "lambada_openai": _lambada,
    "wikitext": _wikitext,
    "mmlu": _mmlu,
    "mmlu_continuation": _mmlu,
}
