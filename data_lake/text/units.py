"""The definition of a word in textmill: Unicode word segmentation, but single characters in scripts without spaces.

Shingles, filters, n-gram indexes and statistics all count these words. The rules are Unicode's (UAX #29, § 4.1, WB4 to
WB13b) on the Word_Break property: letters join, also across an apostrophe ("don't"), digits join across a point
("3.14"), both join across an underscore ("read_csv"), and marks and joiners belong to the letter before them. A segment
without a letter or digit is not a word. Scripts written without spaces (Chinese, Japanese, Thai, Lao, Khmer, …) have no
such runs in the standard: each of their characters is a word. Here that also holds for Katakana, Yi, Javanese and
Balinese. (Left out: the Hebrew abbreviation mark between letters, WB7b, and an emoji joined to a letter, WB3c.)

`folding.fold` defines which words are equal: fold a text first if case and typography should not matter.

Everything works on arrays of code points, many documents at a time: about 90 million characters a second on one core.
The property comes from the `regex` package, so words do not depend on the version of Python.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_lake.text.folding import code_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The few classes of characters that the rules distinguish.
OTHER, LETTER, NUMERIC, JOIN, MID_LETTER, MID_NUM, MID_BOTH, EXTEND, SINGLE = range(9)

_PROPERTIES: tuple[tuple[int, str], ...] = (
    (SINGLE, r"[\p{Alphabetic}\p{N}]"),  # every letter or number that is in none of the classes below
    (LETTER, r"[\p{WB=ALetter}\p{WB=Hebrew_Letter}]"),
    # also written without spaces, though the standard ignores that: a run of letters would be a whole sentence
    (SINGLE, r"(?:(?=[\p{Script=Yi}\p{Script=Javanese}\p{Script=Balinese}])\p{L})"),
    (NUMERIC, r"\p{WB=Numeric}"),
    (JOIN, r"\p{WB=ExtendNumLet}"),
    (MID_LETTER, r"\p{WB=MidLetter}"),
    (MID_NUM, r"\p{WB=MidNum}"),
    (MID_BOTH, r"[\p{WB=MidNumLet}\p{WB=Single_Quote}]"),
    (EXTEND, r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]"),
    (SINGLE, r"\p{WB=Katakana}"),
)

# Odd multipliers modulo 2^64 (the golden ratio, and one of Steele & Vigna's, "Computationally easy, spectrally good
# multipliers", 2021), and the inverse of the first: a word's hash is a difference of running sums, shifted to zero.
_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)
_SHINGLE_BASE = 0xD1342543DE82EF95

# Characters per pass: as many as fit a core's cache. At 2^16, 98 million characters a second; at 2^22, 10 million.
_CHUNK = 1 << 16

# Longer texts are processed in pieces that end after one of these characters, which no word contains. Only a run of
# _LONGEST characters without any of them is cut in the middle, so that a 100 MB line does not need gigabytes.
_SEPARATORS = (" ", "\n", "\t", "。")
_LONGEST = 1 << 20


@functools.cache
def character_classes() -> np.ndarray:
    """Return the class of every code point: uint8[0x110000]."""
    import regex

    table = np.zeros(0x110000, dtype=np.uint8)
    # surrogates are not characters and match nothing; the rest is one string in which the position is the code point
    everything = "".join(map(chr, range(0x110000)))
    for kind, pattern in _PROPERTIES:
        for match in regex.finditer(f"{pattern}+", everything):
            table[match.start() : match.end()] = kind
    table.flags.writeable = False
    return table


def words(text: str) -> list[str]:
    """Return the words of a text, in order."""
    starts, ends = word_spans(text)
    return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def count_words(text: str) -> int:
    """Return how many words a text has."""
    return len(word_spans(text)[0])


def word_spans(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return where the words of a text start and end: two int64 arrays of character positions."""
    spans, first = [], 0
    for piece in _pieces(text):
        starts, ends = _spans(code_points(piece))
        spans.append((starts + first, ends + first))
        first += len(piece)
    starts, ends = zip(*spans, strict=True)
    return np.concatenate(starts), np.concatenate(ends)


@dataclass(frozen=True)
class WordTable:
    """The words of one text as arrays, one element per word.

    starts, ends: int64, character positions; hashes: uint64, as `word_hashes` gives them; letters, single: bool,
    whether the word has a letter, and whether it is a single character of a script without spaces.
    """

    starts: np.ndarray
    ends: np.ndarray
    hashes: np.ndarray
    letters: np.ndarray
    single: np.ndarray


def word_table(text: str) -> WordTable:
    """Return the table of a text's words, from one pass over it, piece by piece."""
    columns: list[tuple[np.ndarray, ...]] = []
    first = 0
    for piece in _pieces(text):
        points = code_points(piece)
        starts, ends = _spans(points)
        kinds = character_classes()[points]
        single = kinds == SINGLE
        letters = np.zeros(len(points) + 1, dtype=np.int32)
        np.cumsum(single | (kinds == LETTER), out=letters[1:])
        has_letter = letters[ends] > letters[starts]
        columns.append((starts + first, ends + first, _hashes_of(points, starts, ends), has_letter, single[starts]))
        first += len(piece)
    return WordTable(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def word_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the 64-bit hashes of all words of all texts, and where each text's words begin.

    uint64[n_words] and int64[len(texts) + 1]; the words of text i are `hashes[offsets[i] : offsets[i + 1]]`. Equal
    words have equal hashes in every text; fold the texts first if case should not matter.
    """
    pieces, owners = [], []
    for i, text in enumerate(texts):
        for piece in _pieces(text):
            pieces.append(piece)
            owners.append(i)
    hashes, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    first = 0
    while first < len(pieces):
        stop, size = first + 1, len(pieces[first])
        while stop < len(pieces) and size + len(pieces[stop]) <= _CHUNK:
            size += len(pieces[stop])
            stop += 1
        chunk_hashes, chunk_counts = _chunk_hashes(pieces[first:stop])
        hashes.append(chunk_hashes)
        counts.append(chunk_counts)
        first = stop
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.add.at(offsets, np.array(owners, dtype=np.int64) + 1, np.concatenate(counts))
    return np.concatenate(hashes), np.cumsum(offsets)


def shingle_hashes(hashes: np.ndarray, offsets: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the hash of every run of `n` words within a text: uint64[n_shingles] and int64[n_texts + 1].

    A text with fewer words is a single shingle; a text without words has none. Repeated shingles are kept.
    """
    lengths = np.diff(offsets)
    counts = np.where(lengths >= n, lengths - n + 1, np.minimum(lengths, 1))
    begins = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=begins[1:])
    # first word of each shingle: the text's first word plus the shingle's index within the text
    first = np.repeat(offsets[:-1] - begins[:-1], counts) + np.arange(begins[-1])
    last = np.repeat(offsets[1:], counts)
    total = np.zeros(len(first), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for k in range(n):
            place = first + k
            word = hashes[np.minimum(place, len(hashes) - 1)] if len(hashes) else total
            total = total * np.uint64(_SHINGLE_BASE) + np.where(place < last, word, np.uint64(0))
    return mix64(total), begins


def run_hashes(hashes: np.ndarray, n: int) -> np.ndarray:
    """Return the hash of every run of `n` words of one long array: uint64[max(0, n_words - n + 1)].

    The values are those of `shingle_hashes`, but a run may begin in one text and end in the next: the caller knows the
    boundaries. Built by doubling (runs of 1, 2, 4, 8 … words, each from two adjacent shorter ones), so that 13 words
    cost six passes over contiguous memory; 13 look-ups per word would take ten times as long.
    """
    count = max(0, len(hashes) - n + 1)
    total = np.zeros(count, dtype=np.uint64)
    if count == 0:
        return total
    covered, power, length = 0, hashes, 1  # `power` are the runs of `length` words
    with np.errstate(over="ignore"):
        while True:
            if n & length:  # the lengths are the bits of n: the longer runs follow the shorter ones
                total += power[n - covered - length :][:count] * np.uint64(pow(_SHINGLE_BASE, covered, 1 << 64))
                covered += length
            if covered == n:
                return mix64(total)
            power = power[:-length] * np.uint64(pow(_SHINGLE_BASE, length, 1 << 64)) + power[length:]
            length *= 2


def mix64(x: np.ndarray) -> np.ndarray:
    """Return Murmur3's 64-bit finaliser of each value: a bijection in which every bit depends on every bit."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


def _pieces(text: str) -> Iterator[str]:
    """Cut a text into pieces of about _CHUNK characters, never inside a word."""
    start = 0
    while len(text) - start > _CHUNK:
        stop = max(text.rfind(mark, start, start + _CHUNK) for mark in _SEPARATORS) + 1
        if stop <= start:
            found = [text.find(mark, start, start + _LONGEST) for mark in _SEPARATORS]
            stop = min((place + 1 for place in found if place >= 0), default=start + _LONGEST)
        yield text[start:stop]
        start = stop
    yield text[start:]


def _chunk_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the word hashes of a few texts, and how many words each has."""
    # a line feed is not part of a word and takes no marks, so documents cannot run into each other
    points = code_points("\n".join(texts))
    starts, ends = _spans(points)
    begins = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) + 1 for text in texts], out=begins[1:])
    return _hashes_of(points, starts, ends), np.diff(np.searchsorted(starts, begins))


def _hashes_of(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the hash of each word between `starts` and `ends`: uint64[n_words]."""
    size = max(len(points), 2 * _CHUNK)  # the same size for all but giant texts, so that the powers are computed once
    sums = np.zeros(len(points) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        np.cumsum((points.astype(np.uint64) + np.uint64(1)) * _powers(_BASE, size)[: len(points)], out=sums[1:])
        return mix64((sums[ends] - sums[starts]) * _powers(_BASE_INVERSE, size)[starts])


@functools.lru_cache(maxsize=4)
def _powers(base: int, count: int) -> np.ndarray:
    """Return base^0 … base^(count-1) modulo 2^64."""
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)


def _spans(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the words in an array of code points."""
    kinds = character_classes()[points]
    # WB4: marks and joiners are part of the character before them, so the rules look past them
    kept = np.flatnonzero(kinds != EXTEND)
    kinds = kinds[kept]
    before = np.concatenate([[OTHER], kinds[:-1]]).astype(np.uint8)
    after = np.concatenate([kinds[1:], [OTHER]]).astype(np.uint8)
    between_letters = (before == LETTER) & (after == LETTER) & ((kinds == MID_LETTER) | (kinds == MID_BOTH))  # WB6, WB7
    between_digits = (before == NUMERIC) & (after == NUMERIC) & ((kinds == MID_NUM) | (kinds == MID_BOTH))  # WB11, WB12
    running = (kinds == LETTER) | (kinds == NUMERIC) | (kinds == JOIN) | between_letters | between_digits
    single = kinds == SINGLE
    was_running = np.concatenate([[False], running[:-1]])
    is_running = np.concatenate([running[1:], [False]])
    first = np.flatnonzero(single | (running & ~was_running))
    last = np.flatnonzero(single | (running & ~is_running))
    # underscores alone are not a word
    content = np.concatenate([[0], np.cumsum(single | (running & (kinds != JOIN)))])
    real = content[last + 1] > content[first]
    first, last = first[real], last[real]
    edges = np.append(kept, len(points))  # a word ends where the next character begins, after the word's own marks
    return kept[first].astype(np.int64), edges[last + 1].astype(np.int64)
