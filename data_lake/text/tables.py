"""Tables, by code point, of what the kernels of `kernels` need to know about each Unicode character.

They contain the result of folding each character (`folding`) and the word class of the result (`units`).
"""

from __future__ import annotations

import functools

import numpy as np

from data_lake.text.folding import ASK, MARK, POINT, SEVERAL, fold_table
from data_lake.text.units import character_classes, count_words

# An entry of the folding table: the entry of `folding`, and the class of the character. If it stands for several
# characters, POINT is the position of their list: their number, then the entry of each.
KIND = np.uint32(21)

# An entry of the spacing table, for texts in which case matters.
ASK_RAW, SPACE, RAW_MARK, REPLACED = (np.uint8(1 << bit) for bit in range(4))


@functools.cache
def folding() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the folding of each character (POINT, KIND, ASK, MARK, SEVERAL), the combining class of its last
    character, and the entries of all characters that fold to several or to none."""
    kinds = character_classes().astype(np.uint32)
    table = fold_table()
    entries = table.entries.copy()
    several, parts, places = (entries & SEVERAL) != 0, [np.empty(0, np.uint32)], [0]
    entries[~several] |= kinds[entries[~several] & POINT] << KIND
    for number, characters in enumerate(table.several):
        folded = table.characters[table.firsts[number] : table.firsts[number + 1]]
        parts.append(np.concatenate([[len(characters)], folded | kinds[folded] << KIND]).astype(np.uint32))
        places.append(places[-1] + len(parts[-1]))
    # the kernel has room for two characters and one word per byte
    sizes = np.array([max((len(each) + 1) // 2, count_words(each)) for each in table.several])
    points = np.flatnonzero(several)
    numbers = entries[points] & POINT
    too_many = sizes[numbers] > _utf8_size(points)
    entries[points] += np.array(places, dtype=np.uint32)[numbers] - numbers
    entries[points[too_many]] |= ASK
    return entries, table.order, np.concatenate(parts)


@functools.cache
def spacing() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return each character's role in spacing (ASK_RAW, SPACE, RAW_MARK, REPLACED), the combining class of the last
    character of its folding, the position of its replacement in the last array, and that array: for each replacement
    the number of its bytes, then the bytes.
    """
    table = fold_table(case=False)
    entries = table.entries
    out = np.where(entries & ASK, ASK_RAW, np.uint8(0)) | np.where(entries & MARK, RAW_MARK, np.uint8(0))
    for point in range(0x3001):  # U+3000 is the last white-space character
        if chr(point).isspace():
            out[point] |= SPACE
    places, replacements = np.zeros(0x110000, dtype=np.uint32), bytearray()
    same = entries & (POINT | SEVERAL) == np.arange(0x110000)
    for point in np.flatnonzero(~same & (out & (ASK_RAW | SPACE) == 0)).tolist():
        entry = int(entries[point])
        text = table.several[entry & int(POINT)] if entry & int(SEVERAL) else chr(entry & int(POINT))
        made = text.encode()
        # the kernel has room for twice the bytes; and a space that a character folds to may be next to another one
        if len(made) > 2 * len(chr(point).encode()) or any(map(str.isspace, text)):
            out[point] |= ASK_RAW
            continue
        out[point] |= REPLACED
        places[point] = len(replacements)
        replacements += bytes([len(made)]) + made
    return out, table.order, places, np.frombuffer(bytes(replacements) or b"\0", dtype=np.uint8)


def _utf8_size(points: np.ndarray) -> np.ndarray:
    return 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
