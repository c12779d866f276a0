"""Questions that are answered by a quotation: entries of documentation stand before the model, and it repeats one.

An answer is an entry as it stands in the text: its signature, and what it does. The questions of a page are true ones.
Those that are made up put names, signatures and descriptions together that do not belong together on any page, so that
only the text before the model can tell the answer: a model that is asked true ones again and again learns the pages by
heart instead.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from data_lake.tables.draws import hash_draw
from tasks.synthetic.instructions import WHAT, Pair, worth_asking
from tasks.synthetic.pydoc import Entry

T = TypeVar("T")

LONGEST = 60
"""Characters of the longest arguments and names in what is made up."""


@dataclass(frozen=True)
class Passage:
    """An entry as text: the name without its module, as a page has it, and what it does."""

    name: str
    arguments: str
    summary: str
    more: str = ""

    @property
    def text(self) -> str:
        """The passage as the model quotes it."""
        return f"{self.name}({self.arguments})\n    {self.summary}"

    @property
    def shown(self) -> str:
        """The passage as it stands before the model: there may be another paragraph, which is not quoted."""
        return f"{self.text}\n\n    {self.more}" if self.more else self.text


def passages_of(entries: Iterable[Entry], limit: int) -> list[tuple[str, Passage]]:
    """Return what can be asked for on a page: (module or class, passage), each name once.

    A summary has at most `limit` characters. A name that two classes share would not say which one is meant.
    """
    found: dict[str, tuple[str, Passage]] = {}
    for entry in entries:
        summary = entry.summary(limit)
        if worth_asking(entry) and len(summary) >= 20:
            owner, _, name = entry.qualified.rpartition(".")
            found.setdefault(name, (owner, Passage(name, entry.arguments, summary)))
    return list(found.values())


def quotations_of(entries: Iterable[Entry], limit: int, most: int) -> Iterator[Pair]:
    """Yield a question about each entry of a page, whose input has at most `most` entries, chosen by hash."""
    found = passages_of(entries, limit)
    for owner, asked in found:
        qualified = f"{owner}.{asked.name}"
        others = [one for _, one in found if one is not asked]
        others.sort(key=lambda one: hash_draw("beside", qualified, one.name))
        shown = [*others[: hash_draw("beside", qualified) % most], asked]
        shown.sort(key=lambda one: hash_draw("order", qualified, one.name))
        yield _pair(WHAT[hash_draw("quote", qualified) % len(WHAT)], qualified, shown, asked)


class Inventor:
    """Makes up questions from the parts of many pages; the same generator gives the same question."""

    def __init__(self, pages: Iterable[Iterable[Entry]], limit: int, most: int) -> None:
        """Collect the parts. Raises ValueError if the pages have fewer entries than a question needs."""
        found = [one for page in pages for one in passages_of(page, limit)]
        self._owners = sorted({owner for owner, _ in found})
        self._names = sorted({passage.name for _, passage in found})
        self._arguments = [passage.arguments for _, passage in found if len(passage.arguments) <= LONGEST] or [""]
        self._summaries = sorted({passage.summary for _, passage in found})
        self._words = sorted({word for summary in self._summaries for word in summary.split()})
        self._most = most
        if len(self._names) <= most:
            raise ValueError(
                f"the pages document {len(self._names):,} names, and a question needs up to {most} with more to "
                "choose from"
            )

    def pair(self, rng: np.random.Generator) -> Pair:
        """Return a question with a text of one to `most` passages that no page has, and its answer."""
        shown: dict[str, Passage] = {}
        for _ in range(int(rng.integers(1, self._most + 1))):
            passage = self._passage(rng, list(shown.values()))
            shown[passage.name] = passage
        asked = shown[_one(rng, list(shown))]
        qualified = f"{_one(rng, self._owners)}.{asked.name}"
        question = _one(rng, WHAT)
        if rng.random() < 0.5:
            question = question.replace("`", "")  # as people ask
        given = list(shown.values())
        if rng.random() < 0.3:  # as pages write methods
            given = [replace(one, arguments=_with_self(one.arguments)) for one in given]
            asked = replace(asked, arguments=_with_self(asked.arguments))
        return _pair(question, qualified, given, asked, "\n" if rng.random() < 0.5 else "\n\n")

    def _passage(self, rng: np.random.Generator, above: Sequence[Passage]) -> Passage:
        """Return a passage that resembles those above it as the entries of a page resemble each other: it may share
        arguments and a beginning with one of them, and say words of its own signature, so that what follows a few words
        differs from place to place."""
        name, arguments = self._name(rng), _one(rng, self._arguments)
        like = _one(rng, above) if above and rng.random() < 0.6 else None
        if like is not None:
            name = f"{like.name}_{name}"[:LONGEST] if rng.random() < 0.2 else name
            arguments = like.arguments if rng.random() < 0.5 else arguments
        said = [*_parts(name), *_parts(arguments)]
        summary = self._summary(rng, said)
        if like is not None and rng.random() < 0.5:
            begun = like.summary.split()
            summary = " ".join([*begun[: int(rng.integers(1, 8))], *summary.split()[1:]])
        more = self._lines(rng, self._summary(rng, said)) if rng.random() < 0.3 else ""
        return Passage(name, arguments, self._lines(rng, summary), more)

    def _name(self, rng: np.random.Generator) -> str:
        """Return a name of a page, or two of them joined, so that there are more names than can be learned."""
        name = _one(rng, self._names)
        return f"{name}_{_one(rng, self._names)}"[:LONGEST] if rng.random() < 0.4 else name

    def _lines(self, rng: np.random.Generator, summary: str) -> str:
        """Return a summary in one line or, as pages have them, in lines of some width."""
        if rng.random() < 0.7:
            return summary
        width = int(rng.integers(40, 76))
        return "\n    ".join(textwrap.wrap(summary, width, break_long_words=False, break_on_hyphens=False))

    def _summary(self, rng: np.random.Generator, said: Sequence[str]) -> str:
        """Return what another name does, the same with other words among its own, or words in no order: what is known
        of the pages helps less and less, and the text before the model more and more. Some of the words are `said`
        already, in the signature, or in the summary itself."""
        drawn = rng.random()
        if drawn < 0.3:
            words: list[str] = []
            for _ in range(int(rng.integers(3, 17))):
                words.append(self._word(rng, [*said, *words]))
            return " ".join(words)
        words = _one(rng, self._summaries).split()
        if drawn > 0.7:
            return " ".join(words)
        return " ".join(self._word(rng, [*said, *words]) if rng.random() < 0.25 else word for word in words)

    def _word(self, rng: np.random.Generator, said: Sequence[str]) -> str:
        return _one(rng, said) if said and rng.random() < 0.4 else _one(rng, self._words)


def _parts(text: str) -> list[str]:
    """Return the words of a signature's part."""
    return re.findall(r"[A-Za-z]\w*", text)


def _with_self(arguments: str) -> str:
    return f"self, {arguments}" if arguments else "self"


def _pair(question: str, qualified: str, shown: Sequence[Passage], asked: Passage, between: str = "\n\n") -> Pair:
    given = between.join(one.shown for one in shown)
    return {"instruction": question.format(name=qualified), "input": given, "output": asked.text}


def _one(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]
