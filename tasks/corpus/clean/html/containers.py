"""Find the element of a page that holds its text, and the parts of the page that are alike."""

from __future__ import annotations

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.vocabulary import TAG

_P, _LI, _PRE, _H1, _H6 = (TAG[name] for name in ("p", "li", "pre", "h1", "h6"))
_TD, _BLOCKQUOTE = TAG["td"], TAG["blockquote"]


@compiled
def sums(values):  # type: ignore[no-untyped-def]
    out = np.zeros(len(values) + 1, np.float64)
    for i in range(len(values)):
        out[i + 1] = out[i] + values[i]
    return out


@compiled
def signed(i, first, last):  # type: ignore[no-untyped-def]
    """Return the distance in blocks to a range on a logarithmic scale: negative before it, 0 inside, positive after."""
    if i < first:
        return -np.log1p(first - i)
    if i >= last:
        return np.log1p(i - last + 1)
    return 0.0


@compiled
def top_element(owner, tags, parents, first, last, units, links, good, commas):  # type: ignore[no-untyped-def]
    """Return the element that Readability would choose: by the points of its paragraphs, halved at each level up."""
    scores = np.zeros(len(tags), np.float64)
    for i in range(len(owner)):
        if not good[i]:
            continue
        points = 1 + commas[i] + min(units[i] / 100, 3.0)
        element = owner[i]
        tag = tags[element]
        if tag in (_P, _PRE, _LI, _TD, _BLOCKQUOTE) or _H1 <= tag <= _H6:
            element = parents[element]
        for _ in range(3):
            scores[element] += points
            points /= 2
            if element == 0:
                break
            element = parents[element]
    best, most = 0, 0.0
    for element in range(len(tags)):
        if scores[element] > 0:
            total = units[first[element] : last[element]].sum()
            linked = links[first[element] : last[element]].sum()
            points = scores[element] * (1 - linked / max(1.0, total))
            if points > most:
                best, most = element, points
    return best


@compiled
def core_element(tags, parents, first, last, mass, share):  # type: ignore[no-untyped-def]
    """Return the smallest element that holds this share of the page's mass (float64[blocks + 1], running sums)."""
    need = mass[-1] * share
    best = 0
    if need <= 0:
        return best
    for element in range(len(tags)):  # document order: a later element that holds as much lies inside
        if (
            mass[last[element]] - mass[first[element]] >= need
            and last[element] - first[element] <= last[best] - first[best]
        ):
            best = element
    return best


@compiled
def groups_of(keys):  # type: ignore[no-untyped-def]
    """Return a group number for each key, the same for equal keys (int32[len(keys)]), and the number of groups."""
    size = 16
    while size < 2 * len(keys):
        size *= 2
    table = np.full(size, -1, np.int32)
    group = np.empty(len(keys), np.int32)
    count = 0
    for i in range(len(keys)):
        place = (keys[i] * np.uint32(2654435761) >> np.uint32(7)) & np.uint32(size - 1)
        while table[place] >= 0 and keys[table[place]] != keys[i]:
            place = (place + np.uint32(1)) & np.uint32(size - 1)
        if table[place] < 0:
            table[place] = i
            group[i] = count
            count += 1
        else:
            group[i] = group[table[place]]
    return group, count
