"""What the kernels of `text_kernels` must know of each Unicode character, as tables by code point.

They say what `text_folding` makes of each character, and what class of `text_units` that has.
"""

from __future__ import annotations

import functools

import numpy as np

from data_lake.text_folding import ASK, MARK, POINT, SEVERAL, fold_table
from data_lake.text_units import character_classes, count_words

# An entry of the folding table: what `text_folding` says, and the class of the character. Where it stands for several,
# POINT is their place among all: their number, then the entry of each.
KIND = np.uint32(21)

# An entry of the spacing table, for texts whose case counts.
ASK_RAW, SPACE, RAW_MARK, REPLACED = (np.uint8(1 << bit) for bit in range(4))


@functools.cache
def folding() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what folding makes of each character (POINT, KIND, ASK, MARK, SEVERAL), the combining class of the last
    of that, and the entries of all that fold to several characters or none."""
    kinds = character_classes().astype(np.uint32)
    table = fold_table()
    entries = table.entries.copy()
    several, parts, places = (entries & SEVERAL) != 0, [np.empty(0, np.uint32)], [0]
    entries[~several] |= kinds[entries[~several] & POINT] << KIND
    for number, characters in enumerate(table.several):
        folded = table.characters[table.firsts[number] : table.firsts[number + 1]]
        parts.append(np.concatenate([[len(characters)], folded | kinds[folded] << KIND]).astype(np.uint32))
        places.append(places[-1] + len(parts[-1]))
    # the kernel has room for two characters and a word to a byte
    sizes = np.array([max((len(each) + 1) // 2, count_words(each)) for each in table.several])
    points = np.flatnonzero(several)
    numbers = entries[points] & POINT
    too_many = sizes[numbers] > _utf8_size(points)
    entries[points] += np.array(places, dtype=np.uint32)[numbers] - numbers
    entries[points[too_many]] |= ASK
    return entries, table.order, np.concatenate(parts)


@functools.cache
def spacing() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what each character is to spacing (ASK_RAW, SPACE, RAW_MARK, REPLACED), the combining class of the last
    of what it folds to, and of what is replaced the place in the bytes of all replacements: their number, then they."""
    table = fold_table(case=False)
    entries = table.entries
    out = np.where(entries & ASK, ASK_RAW, np.uint8(0)) | np.where(entries & MARK, RAW_MARK, np.uint8(0))
    for point in range(0x3001):  # U+3000 is the last white space
        if chr(point).isspace():
            out[point] |= SPACE
    places, replacements = np.zeros(0x110000, dtype=np.uint32), bytearray()
    same = entries & (POINT | SEVERAL) == np.arange(0x110000)
    for point in np.flatnonzero(~same & (out & (ASK_RAW | SPACE) == 0)).tolist():
        entry = int(entries[point])
        text = table.several[entry & int(POINT)] if entry & int(SEVERAL) else chr(entry & int(POINT))
        made = text.encode()
        # the kernel has room for twice the bytes; and a space that a character folds to may stand beside another one
        if len(made) > 2 * len(chr(point).encode()) or any(map(str.isspace, text)):
            out[point] |= ASK_RAW
            continue
        out[point] |= REPLACED
        places[point] = len(replacements)
        replacements += bytes([len(made)]) + made
    return out, table.order, places, np.frombuffer(bytes(replacements) or b"\0", dtype=np.uint8)


def _utf8_size(points: np.ndarray) -> np.ndarray:
    return 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
