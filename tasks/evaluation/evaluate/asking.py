"""Asking a model the items of a benchmark: its log-likelihoods or texts, and how much of each prompt it could read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.benchmarks.base import Answered, Benchmark
from tasks.synthetic.questions.chosen import Chosen

if TYPE_CHECKING:
    from model.scoring import Scorer
    from tasks.evaluation.evaluate.writing import Written

MAX_NEW_TOKENS = 256
"""lm-eval's largest number of generated tokens (max_gen_toks)."""

Write = Callable[[Sequence[str], Sequence[str], int], "list[Written]"]
"""(prompts, texts to stop at, most new tokens) -> what was written after each prompt."""


@dataclass(frozen=True)
class Reply:
    """What a model did with one item. tokens: those it read, of all requests of the item. cut: the tokens at the
    beginning of its prompt that did not fit into the context."""

    answered: Answered
    tokens: int
    cut: int = 0


def ask(scorer: Scorer, write: Write, benchmark: Benchmark, chosen: Sequence[Chosen]) -> list[Reply | None]:
    """Ask all items; None for an item that cannot be asked, as one of its choices alone is longer than the context."""
    if benchmark.output == "rolling":
        return list(_rolling(scorer, chosen))
    if benchmark.output == "generate":
        return list(_written(write, benchmark, chosen))
    encoded = [[scorer.encode_pair(*pair) for pair in benchmark.requests(one.item, one.before)] for one in chosen]
    askable = [all(scorer.fits(continuation) for _, continuation in pairs) for pairs in encoded]
    scores = iter(
        scorer.score_ids([pair for pairs, can in zip(encoded, askable, strict=True) if can for pair in pairs])
    )
    replies: list[Reply | None] = []
    for pairs, can in zip(encoded, askable, strict=True):
        if not can:
            replies.append(None)
            continue
        found = [next(scores) for _ in pairs]
        cut = max(score.cut for score in found)
        tokens = sum(len(context) + len(continuation) for context, continuation in pairs)
        answered = Answered(tuple(score.log_likelihood for score in found), tuple(score.is_greedy for score in found))
        replies.append(Reply(answered, tokens - sum(score.cut for score in found), cut))
    return replies


def _rolling(scorer: Scorer, chosen: Sequence[Chosen]) -> Iterator[Reply]:
    for value, tokens in scorer.rolling([one.item.choices[0] for one in chosen]):
        yield Reply(Answered((value,), (False,)), tokens)


def _written(write: Write, benchmark: Benchmark, chosen: Sequence[Chosen]) -> Iterator[Reply]:
    prompts = [prompt for one in chosen for prompt, _ in benchmark.requests(one.item, one.before)]
    for one in write(prompts, benchmark.until, MAX_NEW_TOKENS):
        yield Reply(Answered(text=one.text), one.tokens, one.cut)
