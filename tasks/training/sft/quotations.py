"""Questions with the text that answers them, in fine-tuning: made anew for each step, and asked of held-out pages.

Each step has other made-up questions, so that nothing is learned by heart; they follow from the pages, the seed and the
step alone. The questions of held-out pages are true ones, and measure how often the model quotes the right passage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tasks.benchmarks.metrics import mean_and_stderr
from tasks.corpus.splits import documents_of
from tasks.stage import Artifact, PermanentError
from tasks.synthetic.instructions import Pair
from tasks.synthetic.pydoc import Entry, entries, module_of
from tasks.synthetic.quotations import Inventor, quotations_of
from tasks.training.sft.measured import Measured

if TYPE_CHECKING:
    from model.chat import Example
    from model.gpt import GPT
    from model.tokenizer import Tokenizer
    from tasks.training.sft.config import SftConfig

TRIES = 100
"""Questions made up for one example before it is said that none fits the context."""


class Quotations:
    """The questions of a fine-tuning that are answered by a quotation."""

    def __init__(self, config: SftConfig, corpus: Artifact, tokenizer: Tokenizer, context: int) -> None:
        """Read the pages. Raises PermanentError if they document too few names to make up questions."""
        self._config, self._tokenizer, self._context = config, tokenizer, context
        limit, most = config.answer_characters, config.quotations.passages
        try:
            self._inventor = Inventor(_pages(corpus, {"train"}), limit, most)
        except ValueError as error:
            raise PermanentError(
                f"sft.quotations needs pages of Python's documentation to make up questions, but {error}. Set its "
                "count to 0."
            ) from error
        asked = (pair for page in _pages(corpus, {"val", "test"}) for pair in quotations_of(page, limit, most))
        fitting = ((pair, self._example(pair)) for pair in asked)
        self._held_out = [one for one in fitting if self._fits(one[1])][: config.quotations.measured]

    def examples(self, step: int) -> list[Example]:
        """Return the questions of a step, each made up by a generator of its own."""
        return [self._made_up(step, row) for row in range(self._config.quotations.count)]

    def measured(self, model: GPT) -> Measured:
        """Return whether the model's likeliest answers are the right passages of held-out pages, word for word.

        `quoted_exact` is the share of whole answers, ended where they end; `quoted_begun` the share whose signature and
        first three words are right.
        The answers need not be generated: one is what greedy decoding writes if each of its tokens is the likeliest
        after those before it.
        """
        from model.scoring import Scorer

        pairs = []
        for pair, example in self._held_out:
            start, end = example.answers[-1]
            prompt, answer = list(example.ids[:start]), list(example.ids[start:end])
            pairs += [(prompt, answer), (prompt, answer[: self._beginning(pair)])]
        scores = Scorer(model, self._tokenizer.encode, self._tokenizer.bos).score_ids(pairs)
        exact, begun = ([float(one.is_greedy) for one in scores[first::2]] for first in (0, 1))
        numbers: dict[str, float | None] = dict.fromkeys(("quoted_exact", "quoted_exact_stderr", "quoted_begun"))
        if exact:
            share, stderr = mean_and_stderr(exact)
            numbers = {"quoted_exact": share, "quoted_exact_stderr": stderr, "quoted_begun": mean_and_stderr(begun)[0]}
        return Measured("answers quoted from a text, word for word", exact, numbers=numbers)

    @property
    def held_out(self) -> int:
        """Number of questions about held-out pages."""
        return len(self._held_out)

    def _made_up(self, step: int, row: int) -> Example:
        rng = np.random.default_rng([self._config.training.seed, step, row])
        for _ in range(TRIES):
            if self._fits(made := self._example(self._inventor.pair(rng))):
                return made
        raise PermanentError(
            f"None of {TRIES} questions with up to {self._config.quotations.passages} passages fits the context of "
            f"{self._context:,} tokens; lower sft.quotations.passages or sft.answer_characters."
        )

    def _example(self, pair: Pair) -> Example:
        from model.chat import example

        return example(
            self._tokenizer, pair["instruction"], pair["input"], pair["output"], template=self._config.prompt
        )

    def _fits(self, example: Example) -> bool:
        return len(example.ids) <= self._context + 1

    def _beginning(self, pair: Pair) -> int:
        """Return how many tokens the signature and the first three words of a description have."""
        signature, _, summary = pair["output"].partition("\n")
        return len(self._tokenizer.encode(f"{signature}\n    {' '.join(summary.split()[:3])}"))


def _pages(corpus: Artifact, splits: set[str]) -> Iterator[list[Entry]]:
    for document in documents_of(corpus.path, splits):
        if module := module_of(document.url, document.title):
            yield list(entries(document.text, module))
