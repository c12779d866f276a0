"""The first two levels of dedup: documents with the same URL, and documents with the same text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data_lake.tables.runs import Runs
from tasks.corpus.dedup.corpus import UNDATED, Corpus, Removed, preferred_first


def exact_matches(corpus: Corpus, keys: Runs, removed: Removed, limit: int, *, newest: bool) -> Iterator[np.ndarray]:
    """Yield uint64[2, n] of (document removed, document kept instead), from rows of (128-bit key, document).

    Documents in `removed` are ignored, and those yielded are added to it. Of documents with the same key, the preferred
    one is kept, or with `newest` the one fetched last. With `newest`, all are kept if none has a date of fetching: rows
    of a file that carry the URL of the page they come from are not versions of that page. At most about `limit` rows
    are in memory.
    """
    for low, high in keys.split(limit):
        rows = keys.read(low, high)
        rows = rows[:, ~removed[rows[2]]]
        rows = rows[:, np.lexsort((rows[2], rows[1], rows[0]))]
        new = np.ones(rows.shape[1] + 1, dtype=np.bool_)
        new[1:-1] = np.any(rows[:2, 1:] != rows[:2, :-1], axis=0)
        alone = new[:-1] & new[1:]
        group, documents = np.cumsum(new[:-1])[~alone], rows[2][~alone]
        if not len(documents):
            continue
        by_number = np.argsort(documents)
        group, documents = group[by_number], documents[by_number]
        facts = corpus.facts(documents)
        later = ~facts["fetched"] if newest else np.zeros(len(documents), dtype=np.int64)
        order = preferred_first(facts, documents, (later, group))
        group, documents = group[order], documents[order]
        first = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
        place = np.repeat(first, np.diff(np.append(first, len(documents))))
        kept = documents[place]
        remove = (kept != documents) & (documents >= corpus.old)
        if newest:
            remove &= facts["fetched"][order][place] != UNDATED
        removed.add(documents[remove])
        yield np.stack([documents[remove], kept[remove]])
