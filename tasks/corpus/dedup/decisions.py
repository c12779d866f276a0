"""Which near-duplicates are removed: in order of preference, each document that is similar to one that is kept.

No document is removed because of another one that is removed itself. Connected components would do that: if a is
similar to b, and b to c, they join a and c, which may share nothing; at the scale of the web this chains all pages made
from one template into one cluster (marin #6851). Here a cluster is a kept document and the documents similar to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data_lake.tables.runs import Runs
from tasks.corpus.dedup.corpus import Removed

_EDGE_COLUMNS = 8


def near_duplicates(edges: Runs, removed: Removed, limit: int) -> Iterator[np.ndarray]:
    """Yield uint64[4, n] of (document removed, the one kept, values in common, values in either).

    edges: pairs at or above the threshold as `comparison.compare` writes them, sorted by the rank of the less preferred
    document. The documents are added to `removed`. Of several kept partners the most similar one is named; of equally
    similar ones, the preferred one. At most about `limit` edges are in memory.
    """
    for low, high in edges.split(limit):
        rows = edges.read(low, high)
        rank, identity, document, other_rank, other_id, other, shared, union = rows
        order = np.lexsort((other, other_id, other_rank, document, identity, rank))
        document, other, shared, union = document[order], other[order], shared[order], union[order]
        both, place = np.unique(np.concatenate([document, other]), return_inverse=True)
        is_removed = removed[both].tolist()
        chosen = _greedy(place[: len(document)].tolist(), place[len(document) :].tolist(), shared / union, is_removed)
        removed.add(document[chosen])
        yield np.stack([document[chosen], other[chosen], shared[chosen], union[chosen]])


def _greedy(documents: list[int], others: list[int], scores: np.ndarray, is_removed: list[bool]) -> list[int]:
    """Return the deciding edge of each document that is removed, and update `is_removed`."""
    chosen: list[int] = []
    values = scores.tolist()
    begin = 0
    for end in range(1, len(documents) + 1):
        if end < len(documents) and documents[end] == documents[begin]:
            continue
        best, score = -1, 0.0
        for edge in range(begin, end):
            if not is_removed[others[edge]] and values[edge] > score:
                best, score = edge, values[edge]
        if best >= 0:
            is_removed[documents[begin]] = True
            chosen.append(best)
        begin = end
    return chosen
