"""GLUE (Wang et al. 2018): acceptability, sentiment, paraphrase and inference, asked in words as lm-eval asks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tasks.benchmarks.base import ACC, Benchmark, Item, Metric, Row
from tasks.benchmarks.fields import named, text

F1, MCC = Metric("f1", "f1"), Metric("mcc", "mcc")
_LABELS = ("label", "gold_label", "Quality", "is_duplicate")  # the last three in the authors' tsv files


def labelled(
    prompt: Callable[[Row], str], words: Sequence[str], labels: Sequence[str] = ("0", "1")
) -> Callable[[Row, str], Item]:
    """Return the function that makes an item: `words` are the answers to the prompt for the labels 0, 1, …; `labels`
    what these are called in the authors' files."""

    def item(row: Row, subject: str = "") -> Item:
        question = prompt(row)
        gold = named(row, [name for name in _LABELS if name in row] or _LABELS[:1], labels)
        return Item((question,), tuple(words), (gold,), question=question, answer=words[gold])

    return item


def _hypothesis(row: Row) -> str:
    stated = text(row, "hypothesis", "sentence2").strip()
    return stated if stated.endswith(".") else f"{stated}."


def _about(question: str, first: str = "sentence") -> Callable[[Row], str]:
    return lambda row: f"{text(row, first)}\nQuestion: {question}\nAnswer:"


def _both(kind: str, question: str, *names: tuple[str, ...]) -> Callable[[Row], str]:
    def prompt(row: Row) -> str:
        first, second = (text(row, *own) for own in names)
        return f"{kind} 1: {first}\n{kind} 2: {second}\nQuestion: {question}\nAnswer:"

    return prompt


def _inference(row: Row) -> str:
    return f"{text(row, 'sentence1')}\nQuestion: {text(row, 'sentence2')} True or False?\nAnswer:"


def _three_way(row: Row) -> str:
    premise = text(row, "premise", "sentence1")
    return f"{premise}\nQuestion: {_hypothesis(row)} True, False or Neither?\nAnswer:"


def _answers(row: Row) -> str:
    asked, said = text(row, "question"), text(row, "sentence")
    return f"{asked}\n{said}\nQuestion: Does this response answer the question?\nAnswer:"


_PARAPHRASE = _both(
    "Sentence", "Do both sentences mean the same thing?", ("sentence1", "#1 String"), ("sentence2", "#2 String")
)
_SAME_QUESTION = _both("Question", "Do both questions ask the same thing?", ("question1",), ("question2",))
_NO_YES, _ENTAILED = ("no", "yes"), ("entailment", "not_entailment")
_THREE = labelled(_three_way, ("True", "Neither", "False"), ("entailment", "neutral", "contradiction"))

GLUE = (
    Benchmark(
        "cola",
        labelled(_about("Does this sentence make sense?"), _NO_YES),
        metrics=(MCC,),
        headline="mcc",
        folder=("cola",),
        columns=("source", "label", "mark", "sentence"),
    ),
    Benchmark(
        "sst2",
        labelled(_about("Is this sentence positive or negative?"), ("negative", "positive")),
        metrics=(ACC,),
        folder=("sst2", "SST-2"),
    ),
    Benchmark("mrpc", labelled(_PARAPHRASE, _NO_YES), metrics=(ACC, F1), folder=("mrpc",)),
    Benchmark("qqp", labelled(_SAME_QUESTION, _NO_YES), metrics=(ACC, F1), folder=("qqp",)),
    Benchmark("mnli", _THREE, metrics=(ACC,), folder=("mnli",), evaluated="validation_matched"),
    Benchmark("mnli_mismatch", _THREE, metrics=(ACC,), folder=("mnli",), evaluated="validation_mismatched"),
    Benchmark("qnli", labelled(_answers, ("yes", "no"), _ENTAILED), metrics=(ACC,), folder=("qnli",)),
    Benchmark("rte", labelled(_inference, ("True", "False"), _ENTAILED), metrics=(ACC,), folder=("rte",)),
    Benchmark("wnli", labelled(_inference, ("False", "True")), metrics=(ACC,), folder=("wnli",)),
)
