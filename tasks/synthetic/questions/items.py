"""Multiple-choice items made from held-out pages: a line cut in two, its true ending, and wrong ones.

All choices come from test pages and occur in no training document, so memory of the training text cannot help. The
wrong ones are about as long as the right one. Every choice is made by a hash of the passage, so that an item
usually stays the same when other pages are added or removed. Any corpus can be used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from data_lake.tables.draws import hash_draw
from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem, choices_in_order
from tasks.corpus.splits import SplitDocument
from tasks.synthetic.cloze import cut_lines

SUBJECT = "held_out_pages"
PER_PAGE = 24
"""Largest number of lines per page, so that a long page does not dominate the result."""


@dataclass(frozen=True)
class Passage:
    """Some lines of a page, the last one cut between two words, and the ending of that line."""

    page: str
    label: str
    context: str
    ending: str


def passages(document: SplitDocument) -> list[Passage]:
    """Return at most PER_PAGE cut lines of prose of a page, chosen by hash."""
    label = (document.title or document.url or "a page").strip()
    found = [Passage(document.doc_id, label, context, ending) for context, ending in cut_lines(document.text)]
    return sorted(found, key=lambda passage: draw(passage, "order"))[:PER_PAGE]


def without_seen(found: Iterable[Passage], documents: Iterable[str]) -> tuple[list[Passage], int]:
    """Return the passages whose ending is in no document, and the number of the others; ignores case and spacing."""
    left = {plain(passage.ending): passage for passage in found}
    total = len(left)
    for text in documents:
        here = plain(text)
        for ending in [ending for ending in left if ending in here]:
            del left[ending]
    return sorted(left.values(), key=lambda passage: draw(passage, "order")), total - len(left)


def hellaswag_items(pool: Sequence[Passage], count: int) -> list[HellaSwagItem]:
    """Make at most `count` items in HellaSwag's format: passages to continue."""
    items: list[HellaSwagItem] = []
    for passage, wrong in _with_wrong_endings(pool, count):
        place = draw(passage, "place") % 4
        items.append(
            HellaSwagItem(
                ind=len(items),
                activity_label=passage.label,
                ctx_a=passage.context,
                ctx_b="",  # lm-eval would change this text to lower case
                ctx=passage.context,
                endings=choices_in_order(passage.ending, wrong, place),
                label=place,
                source_id=passage.page,
            )
        )
    return items


def mmlu_items(pool: Sequence[Passage], count: int) -> list[MmluItem]:
    """Make at most `count` items in MMLU's format: unfinished statements, like many of MMLU's own.

    The wrong choices are the words of the right one in other orders, with the last word kept in place. All four have
    the same words and length, so only knowledge of word order helps, which even a small model can have about a text
    that it has not seen.
    """
    items: list[MmluItem] = []
    for passage in pool:
        wrong = _other_orders(passage)
        if len(wrong) == 3 and len(items) < count:
            place = draw(passage, "letter") % 4
            items.append(MmluItem(SUBJECT, passage.context, choices_in_order(passage.ending, wrong, place), place))
    return items


def _other_orders(passage: Passage) -> list[str]:
    """Return three other orders of the ending's words, by hash; fewer if it has too few words for three."""
    *words, last = passage.ending.split()
    orders: list[str] = []
    for number in range(12):
        keys = [(draw(passage, f"{number}\0{place}\0{word}"), word) for place, word in enumerate(words)]
        text = " ".join([*(word for _, word in sorted(keys)), last])
        if text != passage.ending and text not in orders and len(orders) < 3:
            orders.append(text)
    return orders


def draw(passage: Passage, salt: str) -> int:
    """Return a number that depends only on the passage and the salt."""
    return hash_draw(salt, passage.page, passage.context)


def plain(text: str) -> str:
    """Return the text case-folded and with single spaces, for comparison."""
    return re.sub(r"\s+", " ", text).casefold().strip()


def _with_wrong_endings(pool: Sequence[Passage], count: int) -> Iterator[tuple[Passage, list[str]]]:
    """Yield at most `count` passages, each with three wrong endings: of twelve from other pages, the closest in length.

    Their lengths are similar because otherwise the length alone could reveal the right one.
    """
    made = 0
    for passage in pool:
        others = sorted(pool, key=lambda other: draw(other, passage.context))
        different: dict[str, str] = {}
        for other in others:
            if other.page != passage.page and len(different) < 12:
                different.setdefault(plain(other.ending), other.ending)
        different.pop(plain(passage.ending), None)
        near = sorted(different.values(), key=lambda text: (abs(len(text) - len(passage.ending)), text))[:3]
        if len(near) == 3 and made < count:
            made += 1
            yield passage, near
