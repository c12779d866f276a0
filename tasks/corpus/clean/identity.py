"""Ids of documents: unique within a crawl, whatever URLs and ids its sources have.

A URL or an id that occurs once in a crawl identifies its document, so the document keeps its id (and its split) when
its text changes and when other documents come or go. If several pages share a URL or an id (two archives with the same
page, a file whose rows all say "wiki"), their content becomes part of the id too, and pages with equal content are
numbered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_lake.store.files import whole_file
from data_lake.tables.documents import doc_id

_FILE = "repeats.npy"


def count_repeats(crawl: Path, work: Path) -> None:
    """Write two numbers for each kept page of a crawl, unless an earlier attempt has. Memory: 40 bytes for each page.

    The first number is 0 if no other page has the page's place (its URL, or its file and its own id); otherwise the
    page is the n-th of those with the same place and content. The second is the number of earlier pages with the same
    content.
    """
    if (work / _FILE).exists():
        return
    places, payloads = _hashes(crawl)
    numbers = np.zeros((len(places), 2), np.uint32)
    order = np.lexsort((payloads, places))  # stable: equal ones keep their order
    begins_place = _begins(places[order])
    begins = begins_place | _begins(payloads[order])
    alone = begins_place & np.append(begins_place[1:], True)
    numbers[order, 0] = np.where(alone, 0, _nth(begins))
    order = np.argsort(payloads, kind="stable")
    numbers[order, 1] = _nth(_begins(payloads[order])) - 1
    with whole_file(work / _FILE) as file:
        np.save(file, numbers)


def read_repeats(work: Path, first: int, last: int) -> list[tuple[int, int]]:
    """Return what `count_repeats` wrote for the kept pages from `first` up to, but not including, `last`."""
    return [(nth, copies) for nth, copies in np.load(work / _FILE, mmap_mode="r")[first:last].tolist()]


def identity(page: Mapping[str, Any], url: str | None, record_id: str) -> str:
    """Return the doc_id of a page: its row of pages.parquet with its `repeats`, its canonical URL and its own id."""
    nth, copies = page["repeats"]
    payload = page["payload_digest"] or ""
    if not (url or record_id):
        return doc_id(payload=f"{payload}\0{copies}" if copies else payload)
    if not url and page["url"] != f"{page['source']}#{record_id}":  # its place is a URL that no browser would open
        record_id += f"\0{page['url']}"
    return doc_id(url=url, record_id=record_id, source=page["source"], payload=f"{payload}\0{nth}" if nth else "")


def _hashes(crawl: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 64-bit hashes of each kept page's place and of its payload digest."""
    import xxhash

    from tasks.corpus.crawl.pages import kept_pages

    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for batch in kept_pages(crawl, ["url", "payload_digest"]):
        for hashes, name in zip(found, ("url", "payload_digest"), strict=True):
            values = (xxhash.xxh3_64_intdigest((value or "").encode()) for value in batch.column(name).to_pylist())
            hashes.append(np.fromiter(values, np.uint64, batch.num_rows))
    places, payloads = (np.concatenate([*hashes, np.empty(0, np.uint64)]) for hashes in found)
    return places, payloads


def _begins(values: np.ndarray) -> np.ndarray:
    """Return which of the values differ from the one before."""
    return np.append(np.ones(min(1, len(values)), bool), values[1:] != values[:-1])


def _nth(begins: np.ndarray) -> np.ndarray:
    """Return the position of each value within its group, from 1; `begins` says which values begin a group."""
    places = np.arange(len(begins))
    return places - np.maximum.accumulate(np.where(begins, places, 0)) + 1
