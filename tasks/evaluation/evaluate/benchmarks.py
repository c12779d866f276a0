"""The benchmarks: turns items into requests, and the requests' scores into accuracies, as lm-eval 0.4.13 does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.corpus.benchmarks.formats import LETTERS, HellaSwagItem, MmluItem, clean_hellaswag

if TYPE_CHECKING:
    from model.scoring import Scorer


@dataclass(frozen=True)
class Question:
    """A context with continuations to choose from; `texts` are the choices whose lengths normalise the scores."""

    context: str
    continuations: tuple[str, ...]
    texts: tuple[str, ...]
    gold: int


@dataclass
class Accuracy:
    """Results of one benchmark format: acc by summed log-likelihood, acc_norm by log-likelihood per character.

    `n` items were asked, `n_truncated` of them with a prompt that was cut at the beginning to fit the model's context.
    Another `n_too_long` items were not asked and are not part of `n`: one of their choices alone is longer than the
    context.
    """

    n: int
    chance: float | None
    acc: float | None
    acc_stderr: float | None
    acc_norm: float | None
    acc_norm_stderr: float | None
    n_truncated: int = 0
    n_too_long: int = 0
    items: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def summary(self) -> dict[str, Any]:
        """Return all fields except the items."""
        return {name: value for name, value in vars(self).items() if name != "items"}


def hellaswag_question(item: HellaSwagItem) -> Question:
    """Return the request of lm-eval's task `hellaswag`."""
    context = clean_hellaswag(f"{item.activity_label}: {item.ctx_a} {item.ctx_b.capitalize()}")
    texts = tuple(clean_hellaswag(ending) for ending in item.endings)
    return Question(context, tuple(f" {text}" for text in texts), texts, item.label)


def mmlu_letters(item: MmluItem, dev: Sequence[MmluItem] = ()) -> Question:
    """Return the request of lm-eval's `mmlu_<subject>`: choices listed, answer by letter; `dev` are the shots."""
    subject = item.subject.replace("_", " ")
    description = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    shots = "".join(f"{_listed(shot)} {LETTERS[shot.answer]}\n\n" for shot in dev)
    letters = tuple(LETTERS)
    return Question(description + shots + _listed(item), tuple(f" {x}" for x in letters), letters, item.answer)


def mmlu_cloze(item: MmluItem, dev: Sequence[MmluItem] = ()) -> Question:
    """Return the request of lm-eval's `mmlu_<subject>_continuation`: the text of the answer is scored."""
    subject = item.subject.replace("_", " ")
    description = f"The following are questions (with answers) about {subject}.\n\n"
    shots = "".join(f"{_asked(shot)} {shot.choices[shot.answer]}\n\n" for shot in dev)
    return Question(
        description + shots + _asked(item), tuple(f" {choice}" for choice in item.choices), item.choices, item.answer
    )


def _listed(item: MmluItem) -> str:
    choices = "".join(f"{letter}. {choice}\n" for letter, choice in zip(LETTERS, item.choices, strict=True))
    return f"{item.question.strip()}\n{choices}Answer:"


def _asked(item: MmluItem) -> str:
    return f"Question: {item.question.strip()}\nAnswer:"


def answer(scorer: Scorer, questions: Sequence[Question]) -> Accuracy:
    """Ask a model all questions. Its answer is the likeliest continuation, or the first of equally likely ones."""
    encoded = [[scorer.encode_pair(asked.context, text) for text in asked.continuations] for asked in questions]
    answerable = [all(scorer.fits(continuation) for _, continuation in pairs) for pairs in encoded]
    requests = [pair for pairs, can in zip(encoded, answerable, strict=True) if can for pair in pairs]
    scores = iter(scorer.score_ids(requests))
    items: list[dict[str, Any]] = []
    for number, (asked, can) in enumerate(zip(questions, answerable, strict=True)):
        if not can:
            continue
        found = [next(scores) for _ in asked.continuations]
        likelihoods = [score.log_likelihood for score in found]
        # lm-eval's acc_norm divides by characters, without the delimiting space, although its papers say bytes
        normed = [value / max(1, len(text)) for value, text in zip(likelihoods, asked.texts, strict=True)]
        chosen, chosen_norm = likelihoods.index(max(likelihoods)), normed.index(max(normed))
        items.append(
            {
                "item": number,
                "context": asked.context,
                "choices": list(asked.texts),
                "gold": asked.gold,
                "log_likelihoods": likelihoods,
                "correct": chosen == asked.gold,
                "correct_norm": chosen_norm == asked.gold,
                "tokens_cut": max(score.cut for score in found),
            }
        )
    truncated = sum(item["tokens_cut"] > 0 for item in items)
    left_out = len(questions) - len(items)
    if not items:
        return Accuracy(0, None, None, None, None, None, truncated, left_out)
    acc, acc_stderr = mean_and_stderr([item["correct"] for item in items])
    acc_norm, acc_norm_stderr = mean_and_stderr([item["correct_norm"] for item in items])
    chance = sum(1 / len(item["choices"]) for item in items) / len(items)
    return Accuracy(len(items), chance, acc, acc_stderr, acc_norm, acc_norm_stderr, truncated, left_out, items)


def mean_and_stderr(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and its standard error sqrt(sample variance / n); None for one value, which has no variance."""
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return mean, None
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


def better_format(results: Mapping[str, Accuracy]) -> tuple[str, float | None, float | None]:
    """Return name, accuracy and standard error of the format that suits the model better.

    OLMES (Gu et al. 2024, § 3.3) reports the better of letters and cloze: small models cannot use letters yet, and
    cloze underrates large ones. Letters are compared by acc, which equals acc_norm for single letters; cloze by
    acc_norm.
    """
    best = max(results, key=lambda name: -1.0 if (share := results[name].acc_norm) is None else share)
    return best, results[best].acc_norm, results[best].acc_norm_stderr
