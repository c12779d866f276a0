"""Find where tags, comments and raw texts end in HTML as bytes, as the tokenizer of the HTML standard does.

All functions except tags_in are compiled. A function that looks for an end returns the length of the source if there is
none, as a parser then takes all the rest as part of the token. An `after_*` function returns the position after what it
looks for. No function checks that a token of its kind really begins at the given position.
"""

from __future__ import annotations

import numpy as np

from data_lake.text.compiled import compiled

_BLOCK = 64  # bytes that next_byte compares at once; with 64 the compiler vectorises the loop, with 32 it does not


def tags_in(html: np.ndarray) -> int:
    """Return the number of `<` in uint8[n], in a quarter of the time that bytes.count takes."""
    return int(np.count_nonzero(html == 60))


def find(source: bytes, word: bytes, start: int = 0) -> int:
    """Return source.find(word, start), in a fifth of the time if the word is far away or missing."""
    return int(_next_word(np.frombuffer(source, dtype=np.uint8), start, np.frombuffer(word, dtype=np.uint8)))


@compiled
def _next_word(html, i, word):  # type: ignore[no-untyped-def]
    """Return where a word occurs next, or -1. Three of its bytes are compared at _BLOCK places at once."""
    size = len(word)
    first, middle, last = word[0], word[size // 2], word[size - 1]
    stop = len(html) - size + 1  # a word can begin at i < stop
    while i < stop:
        if i + _BLOCK <= stop:
            one, two = html[i : i + _BLOCK], html[i + size // 2 : i + size // 2 + _BLOCK]
            three = html[i + size - 1 : i + size - 1 + _BLOCK]
            near = np.uint8(_BLOCK)
            for k in range(_BLOCK):
                is_like = (one[k] == first) & (two[k] == middle) & (three[k] == last)
                near = min(near, np.uint8(k) if is_like else np.uint8(_BLOCK))
            if near == _BLOCK:
                i += _BLOCK
                continue
            i += near
        k = 0
        while k < size and html[i + k] == word[k]:
            k += 1
        if k == size:
            return i
        i += 1
    return -1


@compiled
def next_byte(html, i, byte):  # type: ignore[no-untyped-def]
    """Return the position of the next byte of this value from i on, or the length of the source.

    The inner loop has no branch, so that the compiler turns it into a few vector instructions.
    """
    n, sought = len(html), np.uint8(byte)
    while i + _BLOCK <= n:
        block = html[i : i + _BLOCK]
        first = np.uint8(_BLOCK)
        for k in range(_BLOCK):
            first = min(first, np.uint8(k) if block[k] == sought else np.uint8(_BLOCK))
        if first < _BLOCK:
            return i + first
        i += _BLOCK
    while i < n and html[i] != sought:
        i += 1
    return i


@compiled
def is_blank(byte):  # type: ignore[no-untyped-def]
    return byte == 32 or byte == 10 or byte == 9 or byte == 12 or byte == 13


@compiled
def is_letter(byte):  # type: ignore[no-untyped-def]
    return 97 <= byte <= 122 or 65 <= byte <= 90


@compiled
def name_at(html, i):  # type: ignore[no-untyped-def]
    """Return the hash (vocabulary.hash_table) of the lower-case name of a tag, and where the name ends."""
    value = np.uint32(2166136261)
    while i < len(html):
        byte = html[i]
        if byte == 62 or byte == 47 or is_blank(byte):
            break
        if 65 <= byte <= 90:
            byte += np.uint8(32)
        value = np.uint32((value ^ np.uint32(byte)) * np.uint32(16777619))
        i += 1
    return value, i


@compiled
def after_tag(html, i):  # type: ignore[no-untyped-def]
    """For a tag whose name ends at i, return where it ends, whether it closes itself, and its number of attributes."""
    n = len(html)
    attributes = 0
    while True:
        while i < n and (is_blank(html[i]) or html[i] == 47):
            if html[i] == 47 and i + 1 < n and html[i + 1] == 62:
                return i + 2, True, attributes
            i += 1
        if i >= n:
            return n, False, attributes
        if html[i] == 62:
            return i + 1, False, attributes
        attributes += 1
        i += 1  # even an equals sign may begin a name
        while i < n and html[i] != 61 and html[i] != 62 and html[i] != 47 and not is_blank(html[i]):
            i += 1
        while i < n and is_blank(html[i]):
            i += 1
        if i >= n or html[i] != 61:
            continue
        i += 1
        while i < n and is_blank(html[i]):
            i += 1
        if i >= n:
            return n, False, attributes
        quote = html[i]
        if quote == 34 or quote == 39:
            i = next_byte(html, i + 1, quote) + 1
            if i > n:
                return n, False, attributes
        else:
            while i < n and html[i] != 62 and not is_blank(html[i]):
                i += 1


@compiled
def after_comment(html, i):  # type: ignore[no-untyped-def]
    """Return where a comment ends, if its `<!--` ends at i."""
    n = len(html)
    if i < n and html[i] == 62:  # <!-->
        return i + 1
    if i + 1 < n and html[i] == 45 and html[i + 1] == 62:  # <!--->
        return i + 2
    while i + 2 < n:
        if html[i] == 45 and html[i + 1] == 45:
            if html[i + 2] == 62:
                return i + 3
            if html[i + 2] == 33 and i + 3 < n and html[i + 3] == 62:
                return i + 4
        i += 1
    return n


@compiled
def after_byte(html, i, byte):  # type: ignore[no-untyped-def]
    """Return the position after the next byte of this value."""
    return min(next_byte(html, i, byte) + 1, len(html))


@compiled
def after_cdata(html, i):  # type: ignore[no-untyped-def]
    """Return where a CDATA section ends, if its `<![CDATA[` ends at i."""
    n = len(html)
    while i + 2 < n:
        if html[i] == 93 and html[i + 1] == 93 and html[i + 2] == 62:
            return i + 3
        i += 1
    return n


@compiled
def starts_with(html, i, word):  # type: ignore[no-untyped-def]
    """Whether a lower-case word, uint8[], is at i, in upper or lower case."""
    if i + len(word) > len(html):
        return False
    for k in range(len(word)):
        byte = html[i + k]
        if 65 <= byte <= 90:
            byte += np.uint8(32)
        if byte != word[k]:
            return False
    return True


@compiled
def holds(html, i, stop, word):  # type: ignore[no-untyped-def]
    """Whether a lower-case word, uint8[], is in html[i:stop], in upper or lower case."""
    while i + len(word) <= stop:
        if starts_with(html, i, word):
            return True
        i += 1
    return False


@compiled
def _names(html, i, begin, length):  # type: ignore[no-untyped-def]
    """Whether the tag name html[begin : begin + length] is also at i, as a whole name, in upper or lower case."""
    stop = i + length
    if stop >= len(html):
        return False
    for k in range(length):
        if (html[i + k] | 32) != (html[begin + k] | 32):
            return False
    return html[stop] == 62 or html[stop] == 47 or is_blank(html[stop])


@compiled
def end_of_raw(html, i, begin, length):  # type: ignore[no-untyped-def]
    """Return where the end tag of the raw text at i begins; the name in its start tag is at `begin`."""
    n = len(html)
    while i < n:
        i = next_byte(html, i, 60)
        if i + 1 < n and html[i + 1] == 47 and _names(html, i + 2, begin, length):
            return i
        i += 1
    return n


@compiled
def end_of_script(html, i, begin):  # type: ignore[no-untyped-def]
    """Return where a script's end tag begins; after `<!-- <script>` the first end tag only ends the inner script."""
    n = len(html)
    escaped = 0  # 1 = in what looks like a comment, 2 = in a script inside it
    while i < n:
        if escaped == 0:
            i = next_byte(html, i, 60)
            if i >= n:
                return n
        byte = html[i]
        if byte == 60:
            if i + 1 < n and html[i + 1] == 47 and _names(html, i + 2, begin, 6):
                if escaped < 2:
                    return i
                escaped = 1
            elif escaped == 0 and i + 3 < n and html[i + 1] == 33 and html[i + 2] == 45 and html[i + 3] == 45:
                escaped = 1
                i += 2  # its own dashes may end it: <!-->
                continue
            elif escaped == 1 and _names(html, i + 1, begin, 6):
                escaped = 2
        elif escaped and byte == 45 and i + 2 < n and html[i + 1] == 45 and html[i + 2] == 62:
            escaped = 0
        i += 1
    return n
