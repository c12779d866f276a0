"""SuperGLUE (Wang et al. 2019): reading, inference, causes, word senses and references, as lm-eval asks them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tasks.benchmarks.base import ACC, Answered, BadRow, Benchmark, Item, Metric, Row, first_best
from tasks.benchmarks.fields import place, text, texts, whole
from tasks.benchmarks.glue import labelled
from tasks.benchmarks.metrics import f1

_NO_YES = ("no", "yes")


def cb_f1(pairs: Sequence[tuple[int, int]]) -> float:
    """Return the mean of F1 over CommitmentBank's three classes."""
    return sum(f1([(int(gold == kind), int(chosen == kind)) for gold, chosen in pairs]) for kind in range(3)) / 3


def _reading(row: Row) -> str:
    return f"{text(row, 'passage')}\nQuestion: {text(row, 'question')}?\nAnswer:"


def _belief(row: Row) -> str:
    return f"{text(row, 'premise')}\nQuestion: {text(row, 'hypothesis')}. True, False, or Neither?\nAnswer:"


def _inference(row: Row) -> str:
    return f"{text(row, 'premise')}\nQuestion: {text(row, 'hypothesis')} True or False?\nAnswer:"


def _sense(row: Row) -> str:
    first, second = text(row, "sentence1"), text(row, "sentence2")
    begin, end = (whole(row.get(name), name) for name in ("start1", "end1"))
    if not 0 <= begin < end <= len(first):
        raise BadRow(f"start1 and end1 are {begin} and {end}, which is no part of sentence1")
    question = f"Is the word '{first[begin:end]}' used in the same way in the two sentences above?"
    return f"Sentence 1: {first}\nSentence 2: {second}\nQuestion: {question}\nAnswer:"


def _reference(row: Row) -> str:
    row = {**row, **row["target"]} if isinstance(row.get("target"), dict) else row  # as the authors publish it
    passage, noun, pronoun = text(row, "text"), text(row, "span1_text"), text(row, "span2_text")
    before = " ".join(passage.split()[: whole(row.get("span2_index"), "span2_index")])
    after = passage[len(before) + len(pronoun) + 1 :]
    return (
        f"Passage: {_joined(f'{before} *{pronoun}*{after}')}\n"
        f'Question: In the passage above, does the pronoun "*{pronoun}*" refer to "*{noun}*"?\nAnswer:'
    )


def _joined(words: str) -> str:
    """Return a tokenised text as it is usually written (lm-eval's general_detokenize)."""
    for parts, whole_text in ((" n't", "n't"), (" )", ")"), ("( ", "("), ('" ', '"'), (' "', '"')):
        words = words.replace(parts, whole_text)
    return re.sub(r" (['.,])", r"\1", words)


def copa(row: Row, subject: str = "") -> Item:
    """Return the item of a premise and two alternatives, which continue it after `because` or `therefore`."""
    kind = text(row, "question")
    if kind not in ("cause", "effect"):
        raise BadRow(f"question is {kind!r}, neither cause nor effect")
    choices = tuple(f" {one[0].lower()}{one[1:]}" for one in (text(row, "choice1"), text(row, "choice2")))
    context = f"{text(row, 'premise').strip()[:-1]} {'because' if kind == 'cause' else 'therefore'}"
    gold = place(row, ("label",), 2)
    return Item((context,), choices, (gold,), question=context, answer=choices[gold].strip())


def multirc(row: Row, subject: str = "") -> Item:
    """Return the item of a passage, a question and one of its answers.

    lm-eval takes the label 1 (the answer is right) for the second choice, which says no. That is a mistake, but scores
    can be compared only if it is made here too.
    """
    paragraph, question, answer = (text(row, name) for name in ("paragraph", "question", "answer"))
    choices = tuple(f"{answer}\nIs the answer correct? {word}" for word in ("yes", "no"))
    gold = place(row, ("label",), 2)
    asked = f"{paragraph}\nQuestion: {question}\nAnswer:"
    return Item((asked,), choices, (gold,), question=f"{paragraph}\n{question}", answer=answer)


def record(row: Row, subject: str = "") -> Item:
    """Return the item of a news article and a sentence with a gap, to be filled by one of the article's names."""
    first, *highlights = text(row, "passage").strip().split("\n@highlight\n")
    query, entities, answers = text(row, "query"), *(sorted(set(texts(row, name))) for name in ("entities", "answers"))
    if not set(answers) & set(entities):
        raise BadRow("none of the answers is among the entities")
    context = f"{first}\n\n" + "".join(f"  - {highlight}.\n" for highlight in highlights)
    choices = tuple(f"  - {query}".replace("@placeholder", entity) for entity in entities)
    gold = tuple(number for number, entity in enumerate(entities) if entity in answers)
    facts = {"entities": entities, "answers": answers}
    shown = (entities.index(answers[0]), *gold) if answers[0] in entities else gold
    return Item((context,), choices, tuple(dict.fromkeys(shown)), question=first, answer=answers[0], facts=facts)


def record_values(item: Item, answered: Answered) -> dict[str, Any]:
    """Return SQuAD's F1 and exact match of the likeliest name, with the answer that fits it best."""
    said = item.facts["entities"][first_best(answered.log_likelihoods)]
    return {
        "f1": max(_overlap(said, answer) for answer in item.facts["answers"]),
        "em": max(float(_plain(said) == _plain(answer)) for answer in item.facts["answers"]),
    }


def _plain(answer: str) -> list[str]:
    """Return the words of an answer in lower case, without punctuation and articles (SQuAD's normalisation)."""
    letters = "".join(letter for letter in answer.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", letters).split()


def _overlap(said: str, answer: str) -> float:
    """Return F1 over the words of two answers."""
    one, other = _plain(said), _plain(answer)
    if not one or not other:
        return float(one == other)
    same = sum((Counter(one) & Counter(other)).values())
    return 2 * same / (len(one) + len(other)) if same else 0.0


SUPERGLUE = (
    Benchmark("boolq", labelled(_reading, _NO_YES), metrics=(ACC,), folder=("boolq",)),
    Benchmark(
        "cb",
        labelled(_belief, ("True", "False", "Neither"), ("entailment", "contradiction", "neutral")),
        metrics=(ACC, Metric("f1", whole=cb_f1)),
        folder=("cb",),
    ),
    Benchmark("copa", copa, metrics=(ACC,), folder=("copa",)),
    Benchmark("multirc", multirc, metrics=(ACC,), folder=("multirc",)),
    Benchmark(
        "record", record, metrics=(Metric("f1"), Metric("em")), values=record_values, headline="em", folder=("record",)
    ),
    Benchmark(
        "sglue_rte",
        labelled(_inference, ("True", "False"), ("entailment", "not_entailment")),
        metrics=(ACC,),
        folder=("rte",),
    ),
    Benchmark("wic", labelled(_sense, _NO_YES), metrics=(ACC,), folder=("wic",)),
    Benchmark("wsc", labelled(_reference, _NO_YES), metrics=(ACC,), folder=("wsc", "wsc.fixed")),
)
