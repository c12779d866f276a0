"""Short items in the form in which they leak: the question, then its choices or its answer, with a few words between.

If a question has 13 words or more, an n-gram fits into it. If it is shorter, every n-gram reaches into the answer; but
in leaked items, other words come between question and answer: the choices with their letters, `Answer:`, or the field
names of a JSON row. So the question is looked for as a whole, and the words after it decide.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from data_lake.text.folding import fold
from data_lake.text.units import run_hashes, word_hashes, words
from tasks.corpus.benchmarks.item import Item

Number = TypeVar("Number", int, np.ndarray)

SHORTEST_QUESTION = 2  # words; a single word followed by its choices may be just a list under a heading
SHORTEST_ALONE = 8  # words that a question must have to be looked for alone
SHORTEST_LEAK = 8  # words that question and choices must have together
# If a question is followed by its answer alone: the most words between them ("The correct answer is"), and the fewest
# words that both must have together.
_GAP = 6
_QUESTION_AND_ANSWER = 7
# The most words that may precede each choice (its letter, the name of its field), and the first choice.
_BEFORE_EACH, _BEFORE_FIRST = 3, 12


@dataclass(frozen=True)
class Shape:
    """The words of an item: of its question, its right answer, and each of its choices, which include the answer."""

    question: Sequence[str]
    answer: Sequence[str]
    choices: Sequence[Sequence[str]]

    @property
    def reach(self) -> int:
        """The largest number of words after the question that may belong to the item."""
        return reach(sum(map(len, self.choices)), len(self.choices))

    def leak(self, after: Sequence[str]) -> int:
        """Return how many of the words after the question belong to the item: 0 if the text is not this item."""
        after = after[: self.reach]
        if stop := self._choices_end(after):
            return stop
        at = _find(after[: _GAP + len(self.answer)], self.answer, [False] * len(after))
        enough = len(self.question) + len(self.answer) >= _QUESTION_AND_ANSWER
        return at + len(self.answer) if at >= 0 and enough else 0

    def _choices_end(self, after: Sequence[str]) -> int:
        """Return where the last of the choices ends, in whatever order they occur; 0 if too few of them occur."""
        taken = [False] * len(after)
        count = size = stop = 0
        for choice in sorted(self.choices, key=len, reverse=True):  # long ones first: they may contain short ones
            at = _find(after, choice, taken)
            if at < 0:
                if choice == self.answer:
                    return 0
                continue
            taken[at : at + len(choice)] = [True] * len(choice)
            count, size, stop = count + 1, size + len(choice), max(stop, at + len(choice))
        enough = count >= max(2, len(self.choices) - 1) and len(self.question) + size >= SHORTEST_LEAK
        return stop if enough else 0


class Leaks:
    """The shapes of all items with short questions.

    leads: bool[n_items], whether the question is looked for together with what follows it. alone: bool[n_items],
    whether it is looked for alone. question_words: int64[n_items], the number of words of each question.
    """

    def __init__(
        self,
        items: Sequence[Item],
        given: tuple[np.ndarray, np.ndarray],
        words_per_ngram: int,
        too_short: np.ndarray,
    ) -> None:
        """given: the hashes of all items' words, and where those of each item begin. too_short: bool[n_items]."""
        self._items = items
        questions, answers = [fold(item.question) for item in items], [fold(item.answer) for item in items]
        self.question_words = _count(questions)
        short = ~too_short & (self.question_words < words_per_ngram)
        choices = [_choices(item) for item in items]
        number = np.array([len(each) for each in choices], dtype=np.int64)
        bounds = np.concatenate([[0], np.cumsum(number)])
        sizes = np.concatenate([[0], np.cumsum(_count([fold(choice) for each in choices for choice in each]))])
        self._reach = reach(sizes[bounds[1:]] - sizes[bounds[:-1]], number)
        hashes, offsets = word_hashes(answers)
        answered = np.diff(offsets) > 0
        self._answer = np.zeros(len(items), dtype=np.uint64)
        self._answer[answered] = hashes[offsets[:-1][answered]]
        # numbers in a csv row, such as 12,16,32, are a single word, whose hash is not that of any of the numbers
        self._number = np.array([any(map(str.isdigit, answer)) for answer in answers], dtype=bool)
        self.leads = short & answered & (self.question_words >= SHORTEST_QUESTION)
        self.alone = short & answered & (self.question_words >= SHORTEST_ALONE)
        self.alone[self.alone] = self._is_own(given, np.flatnonzero(self.alone))

    def _is_own(self, given: tuple[np.ndarray, np.ndarray], items: np.ndarray) -> np.ndarray:
        """Return whether the questions of these items occur in no other item: bool[len(items)].

        given: the hashes of all items' words, and where those of each item begin.
        """
        hashes, offsets = given
        own = np.ones(len(items), dtype=bool)
        for length in np.unique(self.question_words[items]).tolist():
            here = np.flatnonzero(self.question_words[items] == length)
            runs = np.sort(run_hashes(hashes, length))
            wanted = run_hashes(hashes, length)[offsets[items[here]]]
            own[here] = np.searchsorted(runs, wanted, "right") - np.searchsorted(runs, wanted, "left") == 1
        return own

    def may_follow(self, hashes: np.ndarray, places: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return whether the first word of the right answer is near enough after each place, where a question ends.

        Answers with digits always pass, because they may be part of a csv row that counts as one word.
        """
        found = self._number[items]
        wanted, far = self._answer[items], self._reach[items]
        for apart in range(int(far.max(initial=0))):
            left = np.flatnonzero(~found & (apart < far) & (places + apart < len(hashes)))
            if not len(left):
                break
            found[left] = hashes[places[left] + apart] == wanted[left]
        return found

    def window(self, item: int) -> int:
        """Return how many words of a text, starting with the question, are needed to decide whether it has the item."""
        return int(self.question_words[item] + self._reach[item])

    def length(self, item: int, text: Sequence[str]) -> int:
        """Return how many words of a text, starting with the question, belong to the leaked item; 0 if none do."""
        shape = self._shape(item)
        if text[: len(shape.question)] != shape.question:
            return 0
        behind = [_apart(word) for word in text[len(shape.question) :]]
        after = shape.leak([part for parts in behind for part in parts])
        ends = itertools.accumulate(map(len, behind))
        return len(shape.question) + 1 + sum(end < after for end in ends) if after else 0

    @functools.lru_cache(maxsize=1024)  # noqa: B019  an index lives as long as its process
    def _shape(self, number: int) -> Shape:
        item = self._items[number]
        answer, *choices = (
            [part for word in words(fold(text)) for part in _apart(word)] for text in (item.answer, *_choices(item))
        )
        return Shape(words(fold(item.question)), answer, [choice for choice in choices if choice])


def _apart(word: str) -> list[str]:
    """Split a word at commas and semicolons, which separate the numbers of a csv row; others are returned whole."""
    return word.replace(";", ",").split(",")


def _count(folded: Sequence[str]) -> np.ndarray:
    """Return how many words each text has: int64[n_texts]."""
    return np.diff(word_hashes(folded)[1])


def _choices(item: Item) -> list[str]:
    """Return the choices of an item, which include the answer; none if there is no answer."""
    if not item.answer:
        return []
    return list(item.choices) if item.answer in item.choices else [item.answer]


def reach(words: Number, choices: Number) -> Number:
    """Return how many words after a question its choices may reach: `words` words in `choices` choices."""
    return _BEFORE_FIRST + words + _BEFORE_EACH * choices


def _find(words: Sequence[str], wanted: Sequence[str], taken: Sequence[bool]) -> int:
    """Return where the wanted words occur in sequence with none of them taken; -1 if they do not."""
    for at in range(len(words) - len(wanted) + 1):
        if words[at] == wanted[0] and words[at : at + len(wanted)] == wanted and not any(taken[at : at + len(wanted)]):
            return at
    return -1
