"""Questions that are answered by a quotation: entries of documentation stand before the model, and it repeats one.

An answer is an entry as it stands in the text: its signature, and what it does. The questions of a page are true ones.
Those that are made up put names, signatures and descriptions together that do not belong together on any page, so that
only the text before the model can tell the answer: a model that is asked true ones again and again learns the pages by
heart instead.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_lake.tables.draws import hash_draw
from tasks.synthetic.instructions import WHAT, Pair, worth_asking
from tasks.synthetic.pydoc import Entry

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
            name = self._name(rng)
            more = self._described(rng) if rng.random() < 0.3 else ""
            shown[name] = Passage(name, _one(rng, self._arguments), self._described(rng), more)
        asked = shown[_one(rng, list(shown))]
        qualified = f"{_one(rng, self._owners)}.{asked.name}"
        question = _one(rng, WHAT)
        if rng.random() < 0.5:
            question = question.replace("`", "")  # as people ask
        return _pair(question, qualified, list(shown.values()), asked)

    def _name(self, rng: np.random.Generator) -> str:
        """Return a name of a page, or two of them joined, so that there are more names than can be learned."""
        name = _one(rng, self._names)
        return f"{name}_{_one(rng, self._names)}"[:LONGEST] if rng.random() < 0.4 else name

    def _described(self, rng: np.random.Generator) -> str:
        """Return a summary in one line or, as pages have them, in lines of some width."""
        summary = self._summary(rng)
        if rng.random() < 0.7:
            return summary
        width = int(rng.integers(40, 76))
        return "\n    ".join(textwrap.wrap(summary, width, break_long_words=False, break_on_hyphens=False))

    def _summary(self, rng: np.random.Generator) -> str:
        """Return what another name does, the same with other words among its own, or words in no order: what is known
        of the pages helps less and less, and the text before the model more and more."""
        drawn = rng.random()
        if drawn < 0.3:
            return " ".join(_one(rng, self._words) for _ in range(int(rng.integers(3, 17))))
        summary = _one(rng, self._summaries)
        if drawn > 0.7:
            return summary
        return " ".join(_one(rng, self._words) if rng.random() < 0.25 else word for word in summary.split())


def _pair(question: str, qualified: str, shown: Sequence[Passage], asked: Passage) -> Pair:
    given = "\n\n".join(one.shown for one in shown)
    return {"instruction": question.format(name=qualified), "input": given, "output": asked.text}


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
