"""Multiple-choice items made from held-out pages: a line cut in two, its true ending, and wrong ones.

All choices come from test pages and stand in no training document, so having seen them cannot help. The wrong ones are
as long as the right one. All draws are by hash of the passage, so an item stays when pages come or go around it. Any
corpus will do.
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
"""Lines of one page at most, so that a long page does not decide the result."""


@dataclass(frozen=True)
class Passage:
    """Some lines of a page, the last one cut between two words, and how that one goes on."""

    page: str
    label: str
    context: str
    ending: str


def passages(document: SplitDocument) -> list[Passage]:
    """Return at most PER_PAGE cut lines of prose of a page, drawn by hash."""
    label = (document.title or document.url or "a page").strip()
    found = [Passage(document.doc_id, label, context, ending) for context, ending in cut_lines(document.text)]
    return sorted(found, key=lambda passage: draw(passage, "order"))[:PER_PAGE]


def without_seen(found: Iterable[Passage], documents: Iterable[str]) -> tuple[list[Passage], int]:
    """Return the passages whose ending stands in no document, and how many did; case and spacing do not count."""
    left = {plain(passage.ending): passage for passage in found}
    total = len(left)
    for text in documents:
        here = plain(text)
        for ending in [ending for ending in left if ending in here]:
            del left[ending]
    return sorted(left.values(), key=lambda passage: draw(passage, "order")), total - len(left)


def hellaswag_items(pool: Sequence[Passage], count: int) -> list[HellaSwagItem]:
    """Make at most `count` items of HellaSwag: passages to go on with."""
    items: list[HellaSwagItem] = []
    for passage, wrong in _with_wrong_endings(pool, count):
        place = draw(passage, "place") % 4
        items.append(
            HellaSwagItem(
                ind=len(items),
                activity_label=passage.label,
                ctx_a=passage.context,
                ctx_b="",  # lm-eval would write what stands here in small letters
                ctx=passage.context,
                endings=choices_in_order(passage.ending, wrong, place),
                label=place,
                source_id=passage.page,
            )
        )
    return items


def mmlu_items(pool: Sequence[Passage], count: int) -> list[MmluItem]:
    """Make at most `count` items of MMLU: unfinished statements, as many of MMLU's own are.

    The wrong choices are the right one's words in other orders, the last word in its place. All four have the same
    words and length, so only knowing how the language is put together helps: what a small model can know of a text it
    has not seen.
    """
    items: list[MmluItem] = []
    for passage in pool:
        wrong = _other_orders(passage)
        if len(wrong) == 3 and len(items) < count:
            place = draw(passage, "letter") % 4
            items.append(MmluItem(SUBJECT, passage.context, choices_in_order(passage.ending, wrong, place), place))
    return items


def _other_orders(passage: Passage) -> list[str]:
    """Return three other orders of the ending's words, by hash; fewer where it has too few words to make them."""
    *words, last = passage.ending.split()
    orders: list[str] = []
    for number in range(12):
        keys = [(draw(passage, f"{number}\0{place}\0{word}"), word) for place, word in enumerate(words)]
        text = " ".join([*(word for _, word in sorted(keys)), last])
        if text != passage.ending and text not in orders and len(orders) < 3:
            orders.append(text)
    return orders


def draw(passage: Passage, salt: str) -> int:
    """Return a number that depends on the passage and the salt alone."""
    return hash_draw(salt, passage.page, passage.context)


def plain(text: str) -> str:
    """Return the text in one case with single spaces, to compare."""
    return re.sub(r"\s+", " ", text).casefold().strip()


def _with_wrong_endings(pool: Sequence[Passage], count: int) -> Iterator[tuple[Passage, list[str]]]:
    """Yield at most `count` passages, each with three endings of other pages, the closest in length of twelve drawn.

    Of similar length, because otherwise the length alone would tell the right one.
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
