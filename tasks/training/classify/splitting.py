"""Divides the texts of a label into splits: those of one page stay together, and pages that are held out stay so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from data_lake.tables.documents import SPLITS

if TYPE_CHECKING:
    from tasks.training.classify.reading import Row


def pages_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the texts by page; a text of no page is one of its own."""
    pages: dict[str, list[Row]] = {}
    for row in rows:
        pages.setdefault(row.page or row.text, []).append(row)
    return pages


def splits_reached(rows: Sequence[Row]) -> int:
    """Return how many splits the texts of a label can be in: a page that the corpus holds out can be in one only."""
    pages = pages_of(rows).values()
    free = sum(page[0].split == "train" for page in pages)
    return min(len(SPLITS), free + len({page[0].split for page in pages} - {"train"}))


def divided(rows: Sequence[Row], sizes: Mapping[str, int]) -> dict[str, list[Row]]:
    """Return the texts by the splits of `sizes`: about as many as it says, exactly so many if none share a page.

    Texts of one page resemble each other, so that a test on some of them would be easier than one on unseen pages.
    Page after page goes where most texts are missing, and no split stays empty if there are pages enough.
    """
    parts: dict[str, list[Row]] = {name: [] for name in sizes}
    free = []
    for page in pages_of(rows).values():
        if page[0].split == "train":
            free.append(page)
        else:
            parts[page[0].split] += page
    for number, page in enumerate(free):
        empty = [name for name in sizes if not parts[name]]
        open_to = empty if len(empty) >= len(free) - number else list(sizes)
        parts[max(open_to, key=lambda name: sizes[name] - len(parts[name]))] += page
    return parts
