"""The base of all benchmarks: items, how they become requests, and the metrics of each, as lm-eval 0.4.13 has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Row = dict[str, Any]
Output = Literal["choice", "greedy", "rolling", "generate"]
"""How an item is asked: which continuation is likeliest; whether the continuation is what the model writes by itself;
how likely a whole text is; or what the model writes until a stop text."""

Aggregation = Literal["mean", "perplexity", "weighted_perplexity", "bits_per_byte", "f1", "mcc"]


class BadRow(Exception):
    """A row that is not an item of its benchmark; the message completes "the row is left out, as …"."""


@dataclass(frozen=True)
class Item:
    """One item, ready to be asked.

    contexts: what the model reads: one for all choices or, in a partial evaluation (WinoGrande), one for each.
    choices: what may follow, without the delimiter; in a partial evaluation the one text that follows each context; for
    "rolling" the whole text; for "generate" the reference answer.
    gold: the places of the right choices (or contexts); several for TruthfulQA's mc2 and BBQ.
    description: what stands before the shots. question, answer: what is looked for in training documents.
    facts: what the metrics need besides. document: identifies the row, so that it is not a shot of its own question.
    """

    contexts: tuple[str, ...]
    choices: tuple[str, ...]
    gold: tuple[int, ...] = (0,)
    subject: str = ""
    description: str = ""
    question: str = ""
    answer: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    document: str = ""

    @property
    def partial(self) -> bool:
        """Whether the choices are in the contexts."""
        return len(self.contexts) > 1

    @property
    def options(self) -> tuple[str, ...]:
        """What a model chooses from."""
        return self.contexts if self.partial else self.choices


@dataclass(frozen=True)
class Answered:
    """What a model did with an item: the summed log-likelihood (nats) of each request, whether each is its most likely
    continuation, and what it wrote (only for "generate")."""

    log_likelihoods: tuple[float, ...] = ()
    is_greedy: tuple[bool, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Metric:
    """One metric: its name, and how the values of the items become one number: by a usual aggregation or, if `whole` is
    given, by a function of the benchmark's own. `key` is its name in lm-eval's results, if that is another. share: the
    value of an item is a share, and not right or wrong."""

    name: str
    aggregation: Aggregation = "mean"
    whole: Callable[[Sequence[Any]], float | None] | None = None
    higher_is_better: bool = True
    key: str = ""
    share: bool = False


ACC, ACC_NORM, ACC_BYTES = Metric("acc"), Metric("acc_norm"), Metric("acc_bytes")
CHOICE = (ACC, ACC_NORM, ACC_BYTES)


def without_question(item: Item) -> Item:
    """Return an item whose choices follow nothing; in a partial evaluation, contexts begin where they differ."""
    if not item.partial:
        return replace(item, contexts=("",))
    same = 0
    while all(context[: same + 1] == item.contexts[0][: same + 1] and same < len(context) for context in item.contexts):
        same += 1
    start = item.contexts[0].rfind(" ", 0, same) + 1
    return replace(item, contexts=tuple(context[start:] for context in item.contexts))


@dataclass(frozen=True)
class Benchmark:
    """A benchmark by its name in lm-eval.

    item: makes the item of a row, or raises BadRow. It is given the subject that the name of the row's file tells.
    evaluated: the split that is asked. shots_from: the split that shots are drawn from.
    excludes: lm-eval draws one shot more and leaves out the item itself. It does so if the YAML of the task names no
    test split, also where shots come from another split; the draws depend on it.
    first_shots: shots are the first rows of the split and not drawn. shots: as many as lm-eval shows by default.
    fixed_shots: the number of shots cannot be changed.
    columns: the names of the columns of csv files that do not name them.
    folder: the name of the part of a larger collection (`ARC-Easy` in `ai2_arc`).
    subjects_are_groups: each subject is a task of its own in lm-eval; shots and standard errors go by subject.
    blind: takes the question out of an item. reordered: puts its listed choices into another order; None if the order
    cannot matter, as each choice is scored by itself.
    ability: whether the main metric says how good a model is, so that chance and controls can be held against it.
    plain_text: makes a row of a line of a text file. headline: the metric that stands for the benchmark.
    """

    name: str
    item: Callable[[Row, str], Item]
    output: Output = "choice"
    metrics: tuple[Metric, ...] = CHOICE
    values: Callable[[Item, Answered], Mapping[str, Any]] | None = None
    delimiter: str = " "
    evaluated: str = "validation"
    shots_from: str = "train"
    excludes: bool = True
    first_shots: bool = False
    shots: int = 0
    fixed_shots: bool = False
    until: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    folder: tuple[str, ...] = ()
    subjects_are_groups: bool = False
    plain_text: Callable[[str], Row] | None = None
    ability: bool = True
    blind: Callable[[Item], Item] | None = without_question
    reordered: Callable[[Item], Item] | None = None
    headline: str = "acc"

    @property
    def main(self) -> Metric:
        """The metric that stands for the benchmark."""
        return next((metric for metric in self.metrics if metric.name == self.headline), self.metrics[0])

    def shot(self, item: Item) -> str:
        """Return an item with its answer, as it stands before the question."""
        if item.partial:
            context, answer = item.contexts[item.gold[0]], item.choices[0]
        else:
            context, answer = item.contexts[0], item.choices[item.gold[0]]
        return f"{context}{self.delimiter}{answer}\n\n"

    def before(self, item: Item, shots: Sequence[Item]) -> str:
        """Return what stands before the question: the description and the shots."""
        return "" if self.output == "rolling" else item.description + "".join(map(self.shot, shots))

    def requests(self, item: Item, before: str = "") -> list[tuple[str, str]]:
        """Return the (context, continuation) pairs of an item whose question stands after `before`.

        An item of "rolling" has one pair, its text after an empty context; one of "generate" has no continuation.
        """
        if self.output == "rolling":
            return [("", item.choices[0])]
        if self.output == "generate":
            return [(before + item.contexts[0], "")]
        delimiter = "" if self.output == "greedy" else self.delimiter
        if item.partial:
            return [(before + context, delimiter + item.choices[0]) for context in item.contexts]
        return [(before + item.contexts[0], delimiter + choice) for choice in item.choices]

    def measured(self, item: Item, answered: Answered) -> Mapping[str, Any]:
        """Return the item's value of each metric."""
        return (self.values or VALUES[self.output])(item, answered)


def choice_values(item: Item, answered: Answered) -> dict[str, Any]:
    """Return the accuracies of an item: of the likeliest choice, per character and per byte; (gold, chosen) for F1.

    The first of equally likely choices is the answer. acc_norm divides by characters, without the delimiter, although
    lm-eval's papers say bytes (lm-evaluation-harness #3278); acc_bytes divides by bytes of UTF-8.
    """
    scores, texts = answered.log_likelihoods, item.options
    chosen = first_best(scores)
    by_character = first_best([score / max(1, len(text)) for score, text in zip(scores, texts, strict=True)])
    by_byte = first_best([score / max(1, len(text.encode())) for score, text in zip(scores, texts, strict=True)])
    pair = (item.gold[0], chosen)
    return {
        "acc": float(chosen in item.gold),
        "acc_norm": float(by_character in item.gold),
        "acc_bytes": float(by_byte in item.gold),
        "f1": pair,
        "mcc": pair,
    }


def greedy_values(item: Item, answered: Answered) -> dict[str, Any]:
    """Return whether the model writes the continuation by itself, and its log-likelihood."""
    return {"acc": float(answered.is_greedy[0]), "perplexity": answered.log_likelihoods[0]}


def rolling_values(item: Item, answered: Answered) -> dict[str, Any]:
    """Return the text's log-likelihood with the number of words or bytes that it is spread over."""
    (value,) = answered.log_likelihoods
    words, size = (value, item.facts["words"]), (value, item.facts["bytes"])
    return {"word_perplexity": words, "byte_perplexity": size, "bits_per_byte": size}


def no_values(item: Item, answered: Answered) -> dict[str, Any]:
    """Generated answers are measured by their benchmark alone."""
    raise NotImplementedError("a benchmark of generated answers says how they are measured")


VALUES: dict[Output, Callable[[Item, Answered], Mapping[str, Any]]] = {
    "choice": choice_values,
    "greedy": greedy_values,
    "rolling": rolling_values,
    "generate": no_values,
}


def first_best(scores: Sequence[float]) -> int:
    """Return the place of the largest score, the first one if several are equal."""
    return max(range(len(scores)), key=lambda place: (scores[place], -place))
