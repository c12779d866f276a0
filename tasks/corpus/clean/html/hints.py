"""Find what the words of an attribute say about the use of an element: vocabulary look-ups for compiled code."""

from __future__ import annotations

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.vocabulary import BODY_BIT, BODY_PARTS, LONGEST_HINT


@compiled
def find(keys, values, value, missing):  # type: ignore[no-untyped-def]
    """Return the value for the hash of a name in a table of `vocabulary.hash_table`, or `missing`."""
    place = value & np.uint32(len(keys) - 1)
    while keys[place] != 0:
        if keys[place] == value:
            return values[place]
        place = (place + np.uint32(1)) & np.uint32(len(keys) - 1)
    return missing


@compiled
def hints_in(html, at, stop, keys, values):  # type: ignore[no-untyped-def]
    """Return the hints of the words that begin in html[at:stop]."""
    found, name = np.int32(0), np.int32(0)  # hints in all names of the attribute, and in the current name
    before = np.uint8(32)
    while at < stop:
        byte = html[at]
        if byte == 32:
            if name & BODY_PARTS == BODY_PARTS:
                found |= BODY_BIT
            name = np.int32(0)
        lower = 97 <= byte <= 122
        upper = 65 <= byte <= 90
        inside = 65 <= before <= 90 or (97 <= before <= 122 and not upper)
        if (lower or upper) and not inside:
            value = np.uint32(2166136261)
            for k in range(at, min(stop, at + LONGEST_HINT)):
                letter = html[k]
                if 65 <= letter <= 90:
                    letter += np.uint8(32)
                elif not (97 <= letter <= 122 or letter == 45):
                    break
                value = np.uint32((value ^ np.uint32(letter)) * np.uint32(16777619))
                hint = find(keys, values, value, np.int32(-1))
                if hint < 0:
                    break
                name |= hint
            found |= name
        before = byte
        at += 1
    if name & BODY_PARTS == BODY_PARTS:
        found |= BODY_BIT
    return found
