"""Marks in running text that hide the words next to them: footnotes ([1], ¹) and the escapes of JSON (\\n, \\u2019).

A text with marks is searched twice, as it is and without them, so that n-grams that themselves contain such marks are
found as well.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_HIGH = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_NUMBER = r"(?:(?:note|nb|fn)\.?\s?)?(?:\d{1,3}|[a-z]|[ivx]{2,4})"
# All marks begin with one class of characters, so `re` can skip to those: ten times as fast as trying alternatives.
_MARK = re.compile(
    rf"[\[\\{_HIGH}](?:(?<=\[)(?P<note>\s?{_NUMBER}(?:\s?[,;–-]\s?{_NUMBER}){{0,8}}\s?\]|citation needed\]|edit\])"
    rf"|(?<=(?:[^\W\d_]|[.,;:!?)\]”’\"'])[{_HIGH}])(?P<high>[{_HIGH}]{{0,2}}(?:,[{_HIGH}]{{1,3}}){{0,4}})"
    r"|(?<=\\)(?:(?P<escape>u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4}){0,99})|(?P<line>[nrtbf])|(?P<itself>[\"\\/])))"
)


@dataclass(frozen=True)
class Unmarked:
    """A text without its marks, and the range in the original of each of its characters: int64[len(text)] both."""

    text: str
    starts: np.ndarray
    ends: np.ndarray


def without_marks(text: str) -> Unmarked | None:
    """Return the text without marks, or None if it has no marks."""
    pieces: list[str] = []
    starts, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    at = 0
    for match in _MARK.finditer(text):
        begin, end = match.span()
        meant = _meaning(match)
        pieces += [text[at:begin], meant]
        starts += [np.arange(at, begin), np.full(len(meant), begin)]
        ends += [np.arange(at + 1, begin + 1), np.full(len(meant), end)]
        at = end
    if not pieces:
        return None
    pieces.append(text[at:])
    starts.append(np.arange(at, len(text)))
    ends.append(np.arange(at + 1, len(text) + 1))
    return Unmarked("".join(pieces), np.concatenate(starts), np.concatenate(ends))


def _meaning(match: re.Match[str]) -> str:
    """Return what replaces a mark: nothing for a footnote, the character for an escape."""
    if match["escape"]:
        return json.loads(f'"{match[0]}"')
    return " " if match["line"] else match[0][1] if match["itself"] else ""


def may_have_marks(data: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Return which texts have a character that begins a mark: bool[n_texts].

    data: uint8, the UTF-8 of all texts; begins: int64[n_texts + 1].
    """
    out = np.zeros(len(begins) - 1, dtype=np.bool_)
    _kernel()(data, begins, out)
    return out


@functools.cache
def _kernel() -> Callable[..., Any]:
    from data_lake.text.compiled import compiled

    @compiled
    def find(data, begins, out):  # type: ignore[no-untyped-def]
        for i in range(len(out)):
            text = data[begins[i] : begins[i + 1]]
            marks, every = np.uint8(0), np.uint8(0)
            for k in range(len(text)):  # no early exit, so the loops are vectorised to 32 bytes at a time
                marks |= np.uint8(np.uint8(text[k] - np.uint8(0x5B)) <= np.uint8(1))  # [ and the backslash
                every |= text[k]
            if every >= 128 and not marks:
                first, second = text[:-1], text[1:]
                for k in range(len(second)):
                    here, after = first[k], second[k]
                    high = (here == 0xC2) & ((after == 0xB2) | (after == 0xB3) | (after == 0xB9))
                    marks |= np.uint8(high | ((here == 0xE2) & (after == 0x81)))
            out[i] = marks != 0

    return find
