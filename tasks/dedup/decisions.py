"""Which documents go: candidates from the bands, confirmed by true Jaccard similarity with a document that stays.

Bands only nominate. On technical text two thirds of the pairs that 20 bands of 6 nominate are no near-duplicates, and
taking connected components of unverified pairs joined 743,779 distinct documents into one cluster elsewhere (marin
#6851). So documents are met in order of preference, the longest first, and one is removed only when its own similarity
with one that was already kept reaches the threshold: nothing is removed because of something that is removed itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decision:
    """Document `document` was compared with the kept document `partner`, both by number."""

    document: int
    partner: int
    score: float
    removed: bool


def preference(n_bytes: Sequence[int] | np.ndarray, doc_ids: Sequence[str]) -> np.ndarray:
    """Return the documents' numbers in the order in which they may stay: the longest first, then by smallest id."""
    order = sorted(range(len(doc_ids)), key=lambda i: (-int(n_bytes[i]), doc_ids[i], i))
    return np.array(order, dtype=np.int64)


def exact_duplicates(digests: Sequence[bytes], order: np.ndarray) -> list[Decision]:
    """Return one decision per document whose digest equals that of one that `order` prefers to it."""
    kept: dict[bytes, int] = {}
    found = []
    for i in order.tolist():
        partner = kept.setdefault(digests[i], i)
        if partner != i:
            found.append(Decision(i, partner, 1.0, True))
    return found


def buckets_of(keys: np.ndarray) -> np.ndarray:
    """Return which bucket each document is in, per band: int64[bands, n_documents], -1 where it is alone.

    keys: uint64[bands, n_documents]. Buckets are numbered across bands, so two bands never share one.
    """
    out = np.full(keys.shape, -1, dtype=np.int64)
    used = 0
    for band, band_keys in enumerate(keys):
        _, number, count = np.unique(band_keys, return_inverse=True, return_counts=True)
        shared = count > 1
        names = np.full(len(count), -1, dtype=np.int64)
        names[shared] = used + np.arange(int(shared.sum()))
        out[band] = names[number]
        used += int(shared.sum())
    return out


def near_duplicates(
    buckets: np.ndarray,
    order: np.ndarray,
    signatures: np.ndarray,
    shingles_of: Callable[[int], np.ndarray],
    *,
    threshold: float,
    max_compared: int,
) -> Iterator[Decision]:
    """Yield the decision for each document that shares a bucket with a kept one.

    buckets: as `buckets_of` returns them. order: the documents to decide on, preferred first.
    signatures: uint32[n_documents, n_permutations]. shingles_of: the sorted distinct shingle hashes of a document.
    max_compared: how many kept documents a document is compared with; without a limit one template shared by a million
    pages would cost their square. Of each bucket the last kept ones are taken: as documents come longest first, these
    are nearest in length, and sets whose sizes differ by more than the threshold cannot be that similar. If all
    buckets together nominate more, those are taken whose signatures agree in most places.

    A removed document has one decision: the most similar kept document (of equals the preferred one). A kept one has
    one for each comparison that did not reach the threshold.
    """
    kept: dict[int, list[int]] = {}  # bucket -> places in `order` of the documents kept there
    for place, i in enumerate(order.tolist()):
        mine = buckets[:, i]
        mine = mine[mine >= 0].tolist()
        partners = sorted({partner for bucket in mine for partner in kept.get(bucket, [])[-max_compared:]})
        if len(partners) > max_compared:
            agreement = np.count_nonzero(signatures[order[partners]] == signatures[i], axis=1)
            best_agreeing = np.argsort(-agreement, kind="stable")[:max_compared]
            partners = [partners[k] for k in sorted(best_agreeing.tolist())]
        if partners:
            shingles = shingles_of(i)
            scores = [jaccard(shingles, shingles_of(int(order[partner]))) for partner in partners]
            best = int(np.argmax(scores))  # the first of equals, so the preferred
            if scores[best] >= threshold:
                yield Decision(i, int(order[partners[best]]), scores[best], True)
                continue
            for partner, score in zip(partners, scores, strict=True):
                yield Decision(i, int(order[partner]), score, False)
        for bucket in mine:
            kept.setdefault(bucket, []).append(place)


def follow(
    exact: Sequence[Decision], near: Sequence[Decision], shingles_of: Callable[[int], np.ndarray]
) -> tuple[list[Decision], list[Decision]]:
    """Return the decisions with each copy of a removed document measured against the one that stays instead.

    A copy whose original is itself a near-duplicate would else name a partner that is not there any more.
    """
    partner = {decision.document: decision.partner for decision in near if decision.removed}
    still = [decision for decision in exact if decision.partner not in partner]
    moved = []
    for decision in exact:
        if decision.partner in partner:
            stays = partner[decision.partner]
            score = jaccard(shingles_of(decision.document), shingles_of(stays))
            moved.append(Decision(decision.document, stays, score, True))
    return still, [*near, *moved]


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return |a ∩ b| / |a ∪ b| of two sorted arrays of distinct values; 0 if both are empty."""
    if not len(a) or not len(b):
        return 0.0
    small, large = (a, b) if len(a) <= len(b) else (b, a)
    place = np.searchsorted(large, small)
    place[place == len(large)] = 0
    common = int(np.count_nonzero(large[place] == small))
    return common / (len(a) + len(b) - common)
