"""How deep a page's tags are open within each other, and how many attributes one has: what parsers choke on."""

from __future__ import annotations

import numpy as np

from data_lake.compiled import compiled
from tasks.clean.html.vocabulary import hash_table

# Elements without an end tag, or whose end is implied by the next one: they do not nest.
_FLAT = "area base br col embed hr img input link meta param source track wbr p li option script style"
_FLAT_KEYS = hash_table(dict.fromkeys(_FLAT.split(), 1), 6)[0]


def extremes(html: str) -> tuple[int, int]:
    """Return the depth of the deepest tag and the number of attributes of the longest, both roughly."""
    deepest, most = _extremes(np.frombuffer(html.encode("utf-8", "replace"), dtype=np.uint8), _FLAT_KEYS)
    return int(deepest), int(most)


@compiled
def _extremes(html, flat):  # type: ignore[no-untyped-def]
    n = len(html)
    depth, deepest, most = 0, 0, 0
    i = 0
    while i < n:
        if html[i] != 60:
            i += 1
            continue
        closing = i + 1 < n and html[i + 1] == 47
        i += 2 if closing else 1
        begin = i
        value = np.uint32(2166136261)
        while i < n:
            letter = html[i]
            if 65 <= letter <= 90:
                letter += np.uint8(32)
            if not (97 <= letter <= 122 or (i > begin and 48 <= letter <= 57)):
                break
            value = np.uint32((value ^ np.uint32(letter)) * np.uint32(16777619))
            i += 1
        if i == begin:
            continue
        place = value & np.uint32(len(flat) - 1)
        while flat[place] != 0 and flat[place] != value:
            place = (place + np.uint32(1)) & np.uint32(len(flat) - 1)
        if flat[place] == 0:
            depth = max(0, depth - 1) if closing else depth + 1
            deepest = max(deepest, depth)
        attributes = 0
        before = np.uint8(0)
        open_quote = False
        while i < n and html[i] != 62:
            byte = html[i]
            if (byte == 34 or byte == 39) and before == 61:
                i += 1
                while i < n and html[i] != byte:
                    i += 1
                open_quote = i >= n
            elif byte == 32 or 9 <= byte <= 13 or byte == 47:
                attributes += 1
            before = byte
            i += 1
        if open_quote:  # the quote is never closed: what follows is looked at as tags again
            i = begin
        most = max(most, attributes)
    return deepest, most
