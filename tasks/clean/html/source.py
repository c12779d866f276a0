"""The source of a page before it is parsed: scripts, styles, templates and comments are taken out, but for linked data.

Half of a page of today is scripts, and what follows takes half the time without. They may also hold tags that are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_lake.compiled import compiled

_NAMES = (b"script", b"style", b"template", b"")  # what is taken out; the last are comments, which end with -->
_NAME = np.zeros((len(_NAMES), 8), dtype=np.uint8)
for _i, _name in enumerate(_NAMES):
    _NAME[_i, : len(_name)] = list(_name)
_LENGTH = np.array([len(name) for name in _NAMES])
_SCRIPT, _COMMENT = 0, 3
_LINKED = np.frombuffer(b"application/ld+json", dtype=np.uint8)


@dataclass(frozen=True)
class Source:
    """A page's source: what is seen of it, as text and in UTF-8, and the scripts that hold linked data."""

    text: str
    seen: np.ndarray  # uint8
    linked: str


def seen_of(html: str) -> Source:
    """Return what is seen of a page."""
    raw = np.frombuffer(html.encode("utf-8", "replace"), dtype=np.uint8)
    seen, linked = _seen(raw, _NAME, _LENGTH, _LINKED)
    return Source(seen.tobytes().decode("utf-8"), seen, linked.tobytes().decode("utf-8"))


@compiled
def _opened(html, at, names, lengths):  # type: ignore[no-untyped-def]
    """Return which of the names is opened at a `<`, or -1."""
    n = len(html)
    if at + 3 < n and html[at + 1] == 33 and html[at + 2] == 45 and html[at + 3] == 45:
        return _COMMENT
    initial = html[at + 1] | 32 if at + 1 < n else 0
    if initial != 115 and initial != 116:  # s, t
        return -1
    for kind in range(_COMMENT):
        stop = at + 1 + lengths[kind]
        if stop >= n:
            continue
        after = html[stop]
        if not (after == 62 or after == 47 or after == 32 or 9 <= after <= 13):
            continue
        same = True
        for k in range(lengths[kind]):
            same = same and html[at + 1 + k] | 32 == names[kind, k]
        if same:
            return kind
    return -1


@compiled
def _closed(html, at, kind, names, lengths):  # type: ignore[no-untyped-def]
    """Return the place behind the end of what was opened, or -1 where it has none."""
    n = len(html)
    if kind == _COMMENT:
        for i in range(at + 2, n):
            if html[i] == 62 and html[i - 1] == 45 and html[i - 2] == 45:
                return i + 1
        return -1
    length = lengths[kind]
    i = at
    while i < n:
        if html[i] != 60:
            i += 1
            continue
        i += 1
        if i + length >= n or html[i] != 47:
            continue
        same = True
        for k in range(length):
            same = same and html[i + 1 + k] | 32 == names[kind, k]
        if not same:
            continue
        i += 1 + length
        while i < n and html[i] != 60 and html[i] != 62:
            i += 1
        if i < n and html[i] == 62:
            return i + 1
    return -1


@compiled
def _seen(html, names, lengths, linked_type):  # type: ignore[no-untyped-def]
    n = len(html)
    out, linked = np.empty(n, np.uint8), np.empty(n, np.uint8)
    size, linked_size = 0, 0
    endless = np.zeros(len(lengths), np.bool_)  # what is opened but never closed stays, and is searched for but once
    copied, i = 0, 0
    while i < n:
        if html[i] != 60:
            i += 1
            continue
        kind = _opened(html, i, names, lengths)
        if kind < 0 or endless[kind]:
            i += 1
            continue
        begin = i + (4 if kind == _COMMENT else 1 + lengths[kind])
        stop = _closed(html, begin, kind, names, lengths)
        if stop < 0:
            endless[kind] = True
            i = begin
            continue
        out[size : size + i - copied] = html[copied:i]
        size += i - copied
        if kind == _SCRIPT:
            k, m = begin, 0  # the letters of the type that were found
            while m < len(linked_type) and html[k] != 62:
                m = m + 1 if html[k] == linked_type[m] else (1 if html[k] == linked_type[0] else 0)
                k += 1
            if m == len(linked_type):
                linked[linked_size : linked_size + stop - i] = html[i:stop]
                linked_size += stop - i
        copied = i = stop
    out[size : size + n - copied] = html[copied:]
    return out[: size + n - copied], linked[:linked_size]
