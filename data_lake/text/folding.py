"""Folding: makes characters equal that differ only in how they were typed, for all comparisons of words or texts.

It is Unicode's NFKC_Casefold (Unicode Standard, § 3.13: case, composition, full-width forms, ligatures, superscripts;
soft hyphens, joiners and other invisible characters are removed) plus typography: apostrophes, quotation marks and
dashes become those of a keyboard. `fold` is the definition; `fold_with_places` also returns where each character came
from, so that a match in folded text can be cut from the original exactly. The kernels of `kernels` fold with the same
tables.

The tables come from Python's `unicodedata` and `str.casefold`.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass

import numpy as np

# An entry of the table: the folded character, or the number of a sequence of several characters (or none).
POINT = np.uint32(0x1FFFFF)
ASK = np.uint32(1 << 25)  # may compose with its neighbours, or be reordered with them
MARK = np.uint32(1 << 26)  # has a combining class: in canonical order only if the class before it is not larger
SEVERAL = np.uint32(1 << 27)  # folds to several characters or to none
WHOLE = np.uint32(1 << 28)  # has the only mark that folds to a letter: marks are reordered before folding

_APOSTROPHES = "‘’‛′‵＇ʹʻʼʽʾʿꞋꞌ՚׳"
_QUOTATION_MARKS = "“”„‟〃〝〞〟＂״«»"
_DASHES = "‐‑‒–—―−⁃﹘﹣－⸺⸻֊־"
_TYPOGRAPHY = {
    **dict.fromkeys(_APOSTROPHES, "'"),
    **dict.fromkeys(_QUOTATION_MARKS, '"'),
    **dict.fromkeys(_DASHES, "-"),
    "⁄": "/",  # of ½, which NFKC splits
    "∕": "/",
    "〜": "~",  # the wave dash, which half of all Japanese texts write as a tilde
}
# A free-standing acute accent also becomes an apostrophe; NFKC would make it a space and an accent on the next letter.
_ACUTE = "\u00b4\u1ffd"
_YPOGEGRAMMENI = "\u0345"
_AFTER_YPOGEGRAMMENI = 240  # its combining class


@dataclass(frozen=True)
class FoldTable:
    """The folding of each character, by code point.

    entries: uint32, see above. order: uint8, the combining class of the last character that an entry stands for.
    several: the sequences that the numbers stand for. firsts, characters: the same sequences as arrays: `several[i]` is
    `characters[firsts[i] : firsts[i + 1]]`.
    """

    entries: np.ndarray
    order: np.ndarray
    several: list[str]
    firsts: np.ndarray
    characters: np.ndarray


@dataclass(frozen=True)
class Folded:
    """A folded text, and where each of its characters begins and ends in the original: int64[len(text)] both."""

    text: str
    starts: np.ndarray
    ends: np.ndarray


def fold(text: str, *, case: bool = True) -> str:
    """Return `text` in the form used for comparisons; with case=False capitals are kept."""
    if text.isascii():
        return text.lower() if case else text
    points, table = code_points(text), fold_table(case)
    entries = table.entries[points]
    if _in_order(points, entries, table):
        return _text(_replaced(entries, table)[0])
    if np.bitwise_or.reduce(entries) & WHOLE:
        return _fold_in_full(text, table)
    return unicodedata.normalize("NFC", _text(_replaced(entries, table)[0]))


def fold_with_places(text: str, *, case: bool = True) -> Folded:
    """Return what `fold` returns, with the position of each character.

    The position of a composed or reordered character covers all the characters that it was made from.
    """
    every = np.arange(len(text) + 1)
    if text.isascii():
        return Folded(fold(text, case=case), every[:-1], every[1:])
    points, table = code_points(text), fold_table(case)
    entries = table.entries[points]
    characters, counts = _replaced(entries, table)
    ends = every[1:].copy()
    if not _in_order(points, entries, table):
        kept = counts > 0
        begins = kept & (entries & (ASK | MARK) == 0)  # not changed by any character before it
        begins[0] = True
        first = np.flatnonzero(begins)
        bounds = np.append(first, len(text))
        hard = np.flatnonzero(np.logical_or.reduceat(entries & (ASK | MARK) != 0, first))
        pieces, at, offsets = [], 0, np.cumsum(counts) - counts
        for k in hard.tolist():
            begin, end = int(bounds[k]), int(bounds[k + 1])
            piece = code_points(_fold_in_full(text[begin:end], table))
            pieces += [characters[at : offsets[begin]], piece]
            at = int(offsets[end - 1] + counts[end - 1])
            ends[begin] = begin + 1 + int(np.flatnonzero(kept[begin:end])[-1])
            counts[begin:end] = 0
            counts[begin] = len(piece)
        characters = np.concatenate([*pieces, characters[at:]])
    return Folded(_text(characters), np.repeat(every[:-1], counts), np.repeat(ends, counts))


def code_points(text: str) -> np.ndarray:
    """Return the code points of a text: uint32[len(text)]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _text(points: np.ndarray) -> str:
    return points.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")


def _in_order(points: np.ndarray, entries: np.ndarray, table: FoldTable) -> bool:
    """Return whether each character can be folded by itself: none composes, and marks are in canonical order."""
    every = np.bitwise_or.reduce(entries, initial=0)
    if every & ASK:
        return False
    if not every & MARK:
        return True
    if every & SEVERAL:  # characters that fold to nothing do not separate marks
        empty = (entries & SEVERAL != 0) & (np.diff(table.firsts)[_number(entries)] == 0)
        points, entries = points[~empty], entries[~empty]
    order = table.order[points]
    return not np.any((entries[1:] & MARK != 0) & (order[1:] < order[:-1]))


def _number(entries: np.ndarray) -> np.ndarray:
    """Return the number of the sequence that an entry stands for; 0 for an entry that is a character."""
    return np.where(entries & SEVERAL != 0, entries & POINT, 0)


def _replaced(entries: np.ndarray, table: FoldTable) -> tuple[np.ndarray, np.ndarray]:
    """Return the characters that entries stand for, uint32[…], and how many each has: int64[n]."""
    counts = np.ones(len(entries), dtype=np.int64)
    if not np.bitwise_or.reduce(entries, initial=0) & SEVERAL:
        return entries & POINT, counts
    several = np.flatnonzero(entries & SEVERAL)
    number = entries[several] & POINT
    sizes = np.diff(table.firsts)[number]
    counts[several] = sizes
    out = np.repeat(entries & POINT, counts)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.repeat((np.cumsum(counts) - counts)[several], sizes) + within
    out[places] = table.characters[np.repeat(table.firsts[number], sizes) + within]
    return out, counts


def _fold_in_full(text: str, table: FoldTable) -> str:
    """Fold by the definition: decompose, fold one by one, compose."""
    for accent in _ACUTE:
        text = text.replace(accent, "'")
    points = code_points(unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", _text(_replaced(table.entries[points], table)[0]))


def _fold_one(character: str, case: bool, ignored: frozenset[str]) -> str:
    """Fold a character by the rules until it no longer changes."""
    before, now = "", "'" if character in _ACUTE else unicodedata.normalize("NFKD", character)
    while now != before:
        before = now
        kept = "".join(_TYPOGRAPHY.get(each, each) for each in now if each not in ignored)
        now = unicodedata.normalize("NFKD", kept.casefold() if case else kept)
    return unicodedata.normalize("NFC", now)


@functools.cache
def fold_table(case: bool = True) -> FoldTable:
    """Return the table of all characters."""
    import regex

    everything = _every_character()
    ignored = frozenset(regex.findall(r"\p{Default_Ignorable_Code_Point}", everything))
    special = ignored | frozenset("".join(_TYPOGRAPHY)) | frozenset(_ACUTE)
    changes, classes = composition()
    entries, order = np.arange(0x110000, dtype=np.uint32), classes.copy()
    several: list[str] = [""]
    numbers = {"": 0}
    for first in range(0, 0x110000, 256):
        if 0xAC00 <= first < 0xD700 or 0xD800 <= first < 0xE000:
            continue  # composed Hangul, and surrogates, which are not characters
        block = everything[first : first + 256]
        if unicodedata.normalize("NFKD", block) == block == block.casefold() and special.isdisjoint(block):
            continue  # most of Unicode
        for point, character in enumerate(block, first):
            folded = _fold_one(character, case, ignored)
            if folded == character:
                continue
            if len(folded) == 1:
                entries[point] = ord(folded)
            else:
                if folded not in numbers:
                    numbers[folded] = len(several)
                    several.append(folded)
                entries[point] = SEVERAL | np.uint32(numbers[folded])
            order[point] = classes[ord(folded[-1])] if folded else 0
            if folded and (changes[ord(folded[0])] or classes[ord(folded[0])] != classes[point]):
                entries[point] |= ASK
            if case and _YPOGEGRAMMENI in unicodedata.normalize("NFKD", character):
                entries[point] |= WHOLE
                order[point] = _AFTER_YPOGEGRAMMENI
    entries[changes & (entries & SEVERAL == 0) & (entries & POINT == np.arange(0x110000))] |= ASK
    entries[classes > 0] |= MARK
    characters = code_points("".join(several))
    firsts = np.concatenate([[0], np.cumsum([len(each) for each in several])])
    return FoldTable(entries, order, several, firsts, characters)


@functools.cache
def composition() -> tuple[np.ndarray, np.ndarray]:
    """Return which characters may change under NFC next to others (bool), and combining classes (uint8), by code point.

    As in Unicode's quick check: those that NFC replaces, and those that are the second half of a composed character.
    """
    changes, classes = np.zeros(0x110000, dtype=np.bool_), np.zeros(0x110000, dtype=np.uint8)
    everything = _every_character()
    for first in range(0, 0x110000, 256):
        block = everything[first : first + 256]
        if 0xAC00 <= first <= 0xD700 or 0xD800 <= first < 0xE000:
            continue  # composed Hangul, and surrogates, which UTF-8 cannot contain
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


def _every_character() -> str:
    """Return a string in which the position of each character is its code point."""
    return np.arange(0x110000, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
