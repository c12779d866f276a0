"""The words of `units`, computed by compiled kernels directly from the bytes of an Arrow column.

`units` defines what a word is and what its hash is. This module gives the same results, bit for bit, from UTF-8
that is never converted to a Python string: folding, Unicode's word segmentation and the rolling hash in one pass over
the bytes. It takes 10 µs for a document of 3 kB; the arrays of `units` take 40 µs.

Here, folding (`folding`) works on one character at a time and composition (NFC) is not done at all, which is correct
for a text that Unicode's quick check (UAX #15, § 9) finds composed after folding. Any other text is processed by the
definition in `units`, as is one longer than the longest word. Invalid UTF-8 becomes U+FFFD, which no word contains.

Importing this module imports numba (a third of a second).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from data_lake.tables.arrow_columns import text_bytes
from data_lake.text import units
from data_lake.text.compiled import compiled
from data_lake.text.folding import ASK, MARK, POINT, SEVERAL, fold
from data_lake.text.tables import ASK_RAW, KIND, RAW_MARK, REPLACED, SPACE, folding, spacing
from data_lake.text.units import EXTEND, JOIN, LETTER, MID_BOTH, MID_LETTER, MID_NUM, NUMERIC, OTHER, SINGLE

_BASE = np.uint64(units._BASE)
_BASES = units._BASE, units._BASE_INVERSE
_SHINGLE_BASE = np.uint64(units._SHINGLE_BASE)
UNUSUAL = ASK | MARK | SEVERAL


def word_hashes_of(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return `units.word_hashes([fold(text) for text in texts])` of an Arrow column of text without nulls."""
    data, begins = text_bytes(texts)
    table, order, several = folding()
    hashes = np.empty(len(data) + 1, dtype=np.uint64)  # fewer words than bytes, except in ½½½ and the like
    counts = np.empty(len(texts), dtype=np.int64)
    powers, inverses = (units._powers(base, units._LONGEST) for base in _BASES)
    found = _hash_words(data, begins, table, order, several, powers, inverses, hashes, counts)
    hashes = hashes[:found]
    asked = np.flatnonzero(counts < 0)
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    if not len(asked):
        np.cumsum(counts, out=offsets[1:])
        return hashes, offsets
    slow, slow_offsets = units.word_hashes([fold(text_at(data, begins, i)) for i in asked.tolist()])
    own = np.cumsum(np.concatenate([[0], np.maximum(counts, 0)]))
    pieces, last = [], 0
    for k, i in enumerate(asked.tolist()):
        pieces += [hashes[own[last] : own[i]], slow[slow_offsets[k] : slow_offsets[k + 1]]]
        last = i
    counts[asked] = np.diff(slow_offsets)
    np.cumsum(counts, out=offsets[1:])
    return np.concatenate([*pieces, hashes[own[last] :]]), offsets


def shingle_hashes_of(hashes: np.ndarray, offsets: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `units.shingle_hashes(hashes, offsets, n)`."""
    lengths = np.diff(offsets)
    begins = np.zeros(len(offsets), dtype=np.int64)
    np.cumsum(np.where(lengths >= n, lengths - n + 1, np.minimum(lengths, 1)), out=begins[1:])
    out = np.empty(begins[-1], dtype=np.uint64)
    _hash_shingles(hashes, offsets, begins, n, out)
    return out, begins


def spaced(texts: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each text folded except for case, with one space for every run of white space and none at its ends.

    uint8[…]: the UTF-8 of all texts; int64[n + 1]: their offsets; bool[n]: which texts are left out because they are
    invalid UTF-8 or may not be composed (NFC).
    """
    data, begins = text_bytes(texts)
    tables = spacing()
    out = np.empty(2 * len(data), dtype=np.uint8)
    offsets = np.empty(len(begins), dtype=np.int64)
    asked = np.empty(len(texts), dtype=np.bool_)
    _space(data, begins, *tables, out, offsets, asked)
    return out[: offsets[-1]], offsets, asked


def text_at(data: np.ndarray, begins: np.ndarray, i: int) -> str:
    """Return text `i` as a string, with U+FFFD for bytes that are not UTF-8."""
    return data[begins[i] : begins[i + 1]].tobytes().decode("utf-8", "replace")


@compiled
def _decode(data, place, end):  # type: ignore[no-untyped-def]
    """Return the character at `place` and its length in bytes; 0xFFFD and 1 if the bytes are not UTF-8."""
    lead = np.uint32(data[place])
    size, smallest, point = 0, np.uint32(0), np.uint32(0)
    if lead >= 0xC2 and lead < 0xE0:
        size, smallest, point = 2, np.uint32(0x80), lead & np.uint32(0x1F)
    elif lead >= 0xE0 and lead < 0xF0:
        size, smallest, point = 3, np.uint32(0x800), lead & np.uint32(0x0F)
    elif lead >= 0xF0 and lead < 0xF5:
        size, smallest, point = 4, np.uint32(0x10000), lead & np.uint32(0x07)
    if size == 0 or place + size > end:
        return np.uint32(0xFFFD), 1
    for k in range(1, size):
        byte = np.uint32(data[place + k])
        if byte & np.uint32(0xC0) != np.uint32(0x80):
            return np.uint32(0xFFFD), 1
        point = (point << np.uint32(6)) | (byte & np.uint32(0x3F))
    if point < smallest or point > np.uint32(0x10FFFF) or (point >= 0xD800 and point < 0xE000):
        return np.uint32(0xFFFD), 1
    return point, size


@compiled
def _mix64(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


@compiled
def _is_ascii(text):  # type: ignore[no-untyped-def]
    every = np.uint8(0)
    for k in range(len(text)):  # no early exit, so that the loop runs 32 bytes at a time
        every |= text[k]
    return every < 128


@compiled
def _among(byte, first, last):  # type: ignore[no-untyped-def]
    """Return 1 for a byte of this range, else 0; bytes are not widened, so that the loop runs 32 at a time."""
    return np.uint8(np.uint8(byte - np.uint8(first)) <= np.uint8(last - first))


_WORD_LETTER, _WORD_DIGIT, _WORD_JOIN, _IF_LETTERS, _IF_DIGITS = (np.uint8(1 << bit) for bit in range(5))


@compiled
def _ascii_classes(text, classes, inside):  # type: ignore[no-untyped-def]
    """Write the class of each byte to classes[1:], and whether it is inside a word (WB6, WB7, WB11, WB12)."""
    n = len(text)
    before, here, after = classes[:n], classes[1 : n + 1], classes[2 : n + 2]
    for k in range(n):
        byte = text[k]
        colon = _among(byte, 58, 58)
        quote_or_stop = _among(byte, 39, 39) | _among(byte, 46, 46)
        comma_or_semicolon = _among(byte, 44, 44) | _among(byte, 59, 59)
        here[k] = (
            _WORD_LETTER * _among(byte | np.uint8(32), 97, 122)
            | _WORD_DIGIT * _among(byte, 48, 57)
            | _WORD_JOIN * _among(byte, 95, 95)
            | _IF_LETTERS * (quote_or_stop | colon)
            | _IF_DIGITS * (quote_or_stop | comma_or_semicolon)
        )
    classes[0] = classes[n + 1] = 0
    for k in range(n):
        kind, both = here[k], before[k] & after[k]
        always = kind & (_WORD_LETTER | _WORD_DIGIT | _WORD_JOIN)
        between = (kind >> np.uint8(3)) & both & (_WORD_LETTER | _WORD_DIGIT)
        inside[k] = np.uint8((always | between) != 0)


@compiled
def _hash_ascii_words(text, values, powers, inverses, classes, inside, edges, sums, out, found):  # type: ignore[no-untyped-def]
    """Write the hashes of the words of an ASCII text from out[found]; return how many there are.

    There is no branch per byte: the processor would have to predict where a word ends, and a misprediction costs as
    much as five letters. So one running sum covers the text, and a word's hash is the difference between its two ends.
    """
    n, first = len(text), found
    _ascii_classes(text, classes, inside)
    total, met, before = np.uint64(0), np.int64(0), np.uint8(0)
    for k in range(n):
        here = inside[k]
        edges[met], sums[met] = k, total
        met += np.int64(here ^ before)
        before = here
        total += values[text[k]] * powers[k]
    edges[met], sums[met] = n, total
    met += np.int64(before)
    for edge in range(0, met, 2):
        place, end = edges[edge], edges[edge + 1]
        out[found] = _mix64((sums[edge + 1] - sums[edge]) * inverses[place])
        while place < end and classes[place + 1] == _WORD_JOIN:  # underscores alone are not a word
            place += 1
        found += np.int64(place < end)
    return found - first


@compiled
def _inside(before, kind, after):  # type: ignore[no-untyped-def]
    if kind in (LETTER, NUMERIC, JOIN):
        return True
    if before != after or kind not in (MID_LETTER, MID_NUM, MID_BOTH):
        return False
    return (before == LETTER and kind != MID_NUM) or (before == NUMERIC and kind != MID_LETTER)  # WB6, WB7, WB11, WB12


@compiled
def _hash_words(data, begins, table, order_of, several, powers, inverses, out, counts):  # type: ignore[no-untyped-def]
    """Write the hashes of all words, and each text's number of words; -1 for a text left to the definition."""
    longest, size = len(powers), 1
    for i in range(len(counts)):
        size = max(size, min(longest, begins[i + 1] - begins[i]))
    points, kinds = np.empty(2 * size, np.uint32), np.empty(2 * size + 2, np.uint8)
    inside, edges, sums = np.empty(size, np.uint8), np.empty(size + 1, np.int64), np.empty(size + 1, np.uint64)
    values = np.empty(128, np.uint64)
    for k in range(128):
        values[k] = np.uint64(table[k] & POINT) + np.uint64(1)
    found = 0
    for i in range(len(counts)):
        place, end = begins[i], begins[i + 1]
        counts[i] = -1
        if end - place >= longest:
            continue
        if _is_ascii(data[place:end]):
            text = data[place:end]
            counts[i] = _hash_ascii_words(text, values, powers, inverses, kinds, inside, edges, sums, out, found)
            found += counts[i]
            continue
        n, order, asked = 0, np.uint8(0), False
        while place < end:
            byte = data[place]
            if byte < 128:
                entry, order = table[byte], np.uint8(0)
                place += 1
            else:
                point, length = _decode(data, place, end)
                place += length
                entry = table[point]
                if entry & UNUSUAL == 0:
                    order = np.uint8(0)
                elif entry & ASK or (entry & MARK and order_of[point] < order):
                    asked = True
                    break
                elif entry & MARK:
                    order = order_of[point]
                else:
                    at = np.int64(entry & POINT)
                    for k in range(at + 1, at + 1 + several[at]):
                        points[n] = several[k] & POINT
                        kinds[n] = (several[k] >> KIND) & np.uint32(15)
                        n += 1
                    if several[at]:
                        order = order_of[point]
                    continue
            points[n] = entry & POINT
            kinds[n] = (entry >> KIND) & np.uint32(15)
            n += 1
        if asked:
            continue
        kinds[n] = OTHER
        first = found
        before, single, running, content = OTHER, False, False, False
        total, power = np.uint64(0), np.uint64(1)
        for k in range(n):
            kind = kinds[k]
            if kind == EXTEND:  # WB4: part of the character before it
                if running or single:
                    total += (np.uint64(points[k]) + np.uint64(1)) * power
                    power *= _BASE
                continue
            after = k + 1
            if kind >= MID_LETTER:
                while after < n and kinds[after] == EXTEND:
                    after += 1
            goes_on = _inside(before, kind, kinds[after])
            if (single or running) and not (running and goes_on):
                if content:
                    out[found] = _mix64(total)
                    found += 1
                content = False
                total, power = np.uint64(0), np.uint64(1)
            running, single = goes_on, kind == SINGLE
            if running or single:
                content = content or kind != JOIN  # underscores alone are not a word
                total += (np.uint64(points[k]) + np.uint64(1)) * power
                power *= _BASE
            before = kind
        if content:
            out[found] = _mix64(total)
            found += 1
        counts[i] = found - first
    return found


@compiled
def _hash_shingles(hashes, offsets, begins, n, out):  # type: ignore[no-untyped-def]
    for i in range(len(offsets) - 1):
        words, shingles = hashes[offsets[i] : offsets[i + 1]], out[begins[i] : begins[i + 1]]
        shingles[:] = words[: len(shingles)]
        for apart in range(1, n):  # add one more word to all shingles at a time, vectorised
            there = words[min(apart, len(words)) :][: len(shingles)]
            for k in range(len(there)):
                shingles[k] = shingles[k] * _SHINGLE_BASE + there[k]
            for k in range(len(there), len(shingles)):  # the shingle of a text with fewer words than n
                shingles[k] *= _SHINGLE_BASE
        for k in range(len(shingles)):
            shingles[k] = _mix64(shingles[k])


@compiled
def _is_ascii_space(byte):  # type: ignore[no-untyped-def]
    return _among(byte, 9, 13) | _among(byte, 28, 32)


@compiled
def _space_ascii(text, spaces, out):  # type: ignore[no-untyped-def]
    """Write an ASCII text with single spaces; return its length. Has no branch per byte, like `_hash_ascii_words`."""
    spaces[0] = 1
    for k in range(len(text)):
        spaces[k + 1] = _is_ascii_space(text[k])
    n = np.int64(0)
    for k in range(len(text)):
        out[n] = text[k]
        n += np.int64(np.uint8(1) - (spaces[k + 1] & spaces[k]))
    for k in range(n):
        out[k] = np.uint8(32) if _is_ascii_space(out[k]) else out[k]
    return n - np.int64(n > 0 and out[n - 1] == 32)


@compiled
def _space(data, begins, table, order_of, places, replacements, out, offsets, asked):  # type: ignore[no-untyped-def]
    n, size = 0, 1
    for i in range(len(begins) - 1):
        size = max(size, begins[i + 1] - begins[i])
    spaces = np.empty(size + 1, np.uint8)
    offsets[0] = 0
    for i in range(len(begins) - 1):
        place, end, first = begins[i], begins[i + 1], n
        asked[i] = False
        if _is_ascii(data[place:end]):
            n += _space_ascii(data[place:end], spaces, out[n:])
            offsets[i + 1] = n
            continue
        order, gap = np.uint8(0), False
        while place < end:
            size, point = 1, np.uint32(data[place])
            if point >= 128:
                point, size = _decode(data, place, end)
                if size == 1:
                    asked[i] = True
                    break
            entry = table[point]
            if entry & SPACE:
                gap, order = n > first, np.uint8(0)
            else:
                if entry & ASK_RAW or (entry & RAW_MARK and order_of[point] < order):
                    asked[i] = True
                    break
                if entry & REPLACED:
                    at = places[point]
                    if replacements[at] == 0:
                        place += size
                        continue
                order = order_of[point]
                if gap:
                    out[n] = 32
                    n += 1
                    gap = False
                if entry & REPLACED:
                    for k in range(replacements[at]):
                        out[n] = replacements[at + 1 + k]
                        n += 1
                else:
                    for k in range(size):
                        out[n] = data[place + k]
                        n += 1
            place += size
        if asked[i]:
            n = first
        offsets[i + 1] = n
