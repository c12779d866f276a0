"""What the kernels of `text_kernels` must know of each Unicode character, as tables by code point.

Made from Python's own `unicodedata` and `str.casefold`, which `text_units.fold` uses, so both fold alike on every
version of Python; the classes of characters are those of `text_units`.
"""

from __future__ import annotations

import functools
import unicodedata

import numpy as np

from data_lake import text_units

# An entry of the folding table: the folded character, its class, and what stands in the way of this kernel.
POINT = np.uint32(0x1FFFFF)
KIND = np.uint32(21)
ASK = np.uint32(1 << 25)  # folds to several characters, or may compose with its neighbour
MARK = np.uint32(1 << 26)  # has a combining class: in order only after a smaller one

# An entry of the spacing table, for texts whose case counts.
ASK_RAW, SPACE = np.uint8(1), np.uint8(2)


@functools.cache
def _composition() -> tuple[np.ndarray, np.ndarray]:
    """Return which characters may change under NFC beside others (bool), and combining classes (uint8), by code point.

    By the quick check's definition: those that NFC replaces, and those that are the second half of a composed one.
    """
    changes, classes = np.zeros(0x110000, dtype=np.bool_), np.zeros(0x110000, dtype=np.uint8)
    for first in range(0, 0x110000, 256):
        block = "".join(map(chr, range(first, first + 256)))
        if 0xAC00 <= first <= 0xD700 or 0xD800 <= first < 0xE000:
            continue  # composed Hangul, and surrogates, which no UTF-8 holds
        if not any(map(unicodedata.combining, block)) and unicodedata.normalize("NFD", block) == block:
            continue  # most of Unicode
        for point, character in enumerate(block, first):
            classes[point] = unicodedata.combining(character)
            parts = unicodedata.normalize("NFD", character)
            if parts != character:
                if unicodedata.normalize("NFC", character) != character:
                    changes[point] = True
                elif len(halves := unicodedata.decomposition(character).split()) == 2:
                    changes[int(halves[1], 16)] = True
    changes[0x1161:0x1176] = changes[0x11A8:0x11C3] = True  # vowels and finals of Hangul compose by rule
    return changes, classes


@functools.cache
def folding() -> tuple[np.ndarray, np.ndarray]:
    """Return what folding makes of each character (POINT, KIND, ASK, MARK), and the combining class of that."""
    kinds = text_units.character_classes().astype(np.uint32)
    changes, classes = _composition()
    folded = np.arange(0x110000, dtype=np.uint32)
    several = np.zeros(0x110000, dtype=np.bool_)
    for first in range(0, 0x110000, 256):
        block = "".join(map(chr, range(first, first + 256)))
        if block.casefold() != block:
            for point, character in enumerate(block, first):
                fold = character.casefold()
                folded[point], several[point] = ord(fold[0]), len(fold) != 1
    table = folded | kinds[folded] << KIND
    table[several | changes[folded]] |= ASK
    table[classes[folded] > 0] |= MARK
    return table, classes[folded]


@functools.cache
def spacing() -> tuple[np.ndarray, np.ndarray]:
    """Return what each character is to spacing (ASK_RAW, SPACE) and the combining class of each character."""
    changes, classes = _composition()
    table = np.where(changes, ASK_RAW, np.uint8(0))
    for point in range(0x3001):  # U+3000 is the last white space
        if chr(point).isspace():
            table[point] |= SPACE
    return table, classes
