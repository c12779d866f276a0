"""The outline of a parsed page: where its elements begin and end in the canonical source, and which are hidden.

As in `blocks`, compiled code makes one pass over what the parser writes; here it finds what decides which text is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.hints import find
from tasks.corpus.clean.html.tokens import (
    after_byte,
    after_comment,
    after_tag,
    end_of_raw,
    end_of_script,
    holds,
    is_blank,
    is_letter,
    name_at,
    next_byte,
    tags_in,
)
from tasks.corpus.clean.html.vocabulary import KIND, TAGS, VOID_KEYS, hash_table

COMMENT = 1
_NAMED = (
    "script style template svg iframe noembed noframes noscript xmp listing plaintext math sup sub ruby rb rtc rt rp "
    "br img dialog pre code tt kbd samp ol li table tr td th title foreignobject datalist html head body main"
)
CODE = {name: number + 2 for number, name in enumerate(_NAMED.split())}
_OTHER_BLOCK = len(CODE) + 2
_BLOCK_NAMES = [name for name, kind in zip(TAGS, KIND[: len(TAGS)].tolist(), strict=True) if kind == 1]
_CODES = dict.fromkeys(_BLOCK_NAMES, _OTHER_BLOCK) | CODE
_KEYS, _VALUES = hash_table(_CODES, 9)
_IS_BLOCK = np.zeros(_OTHER_BLOCK + 1, dtype=np.bool_)
_IS_BLOCK[[_CODES[name] for name in _BLOCK_NAMES] + [_OTHER_BLOCK]] = True

# Flags of an element.
HIDDEN, SHOWN_AS_BLOCK = 1, 2

_SCRIPT, _BR, _IMG, _PRE, _CODE, _PLAINTEXT, _DIALOG = (
    CODE[name] for name in ("script", "br", "img", "pre", "code", "plaintext", "dialog")
)
_IS_RAW = np.zeros(_OTHER_BLOCK + 1, dtype=np.bool_)
_IS_RAW[[CODE[name] for name in ("style", "xmp", "iframe", "noembed", "noframes")]] = True
# Kinds of elements that are always in Outline.chosen.
_ASKED_FOR = np.zeros(_OTHER_BLOCK + 1, dtype=np.bool_)
_ASKED_FOR[COMMENT] = True
_ASKED_BY_NAME = (
    "script style template svg iframe noembed noframes noscript xmp listing plaintext math sup sub ruby br img title "
    "datalist ol"
)
_ASKED_FOR[[CODE[name] for name in _ASKED_BY_NAME.split()]] = True
_UNTIL_FOUND, _TEX, _MATH = (np.frombuffer(word, dtype=np.uint8) for word in (b"until-found", b"tex", b"math"))


@dataclass(frozen=True)
class Outline:
    """Elements in document order; void elements (without an end tag) only if needed. All arrays are int32[elements].

    Columns of `spans`: where the start tag begins and ends, and where the end tag begins and ends.
    """

    code: np.ndarray  # COMMENT, a value of CODE, or another number
    parent: np.ndarray  # -1 = none
    flags: np.ndarray
    spans: np.ndarray  # int32[elements, 4]
    letters: np.ndarray  # characters in it except blanks; those in scripts and the like are not counted
    digits: np.ndarray  # how many of them are digits
    chosen: np.ndarray  # elements with a flag, of a kind in _ASKED_FOR, or with only digits in them
    indents: np.ndarray  # int32[indents, 4]: no-break spaces that begin a line: from, to, element, whether after a <br>


def outline(source: bytes) -> Outline:
    """Return the outline of a page from its canonical source."""
    html = np.frombuffer(source, dtype=np.uint8)
    return Outline(*_scan(html, _KEYS, _VALUES, VOID_KEYS, _IS_RAW, _IS_BLOCK, _ASKED_FOR, tags_in(html) + 2))


@compiled
def _sight(html, i, stop):  # type: ignore[no-untyped-def]
    """Return the flags for the declarations of a style attribute, html[i:stop]; later declarations win."""
    hidden, unseen, as_block = False, False, False
    while i < stop:
        while i < stop and (is_blank(html[i]) or html[i] == 59):
            i += 1
        begin = i
        while i < stop and html[i] != 58 and html[i] != 59:
            i += 1
        length = i - begin
        while length > 0 and is_blank(html[begin + length - 1]):
            length -= 1
        i += 1
        while i < stop and is_blank(html[i]):
            i += 1
        if i + 3 < stop:
            first, last = html[begin] | 32, html[begin + length - 1] | 32
            value = np.uint32(0)
            for k in range(4):
                value = np.uint32(value << np.uint32(8)) | np.uint32(html[i + k] | 32)
            if length == 7 and first == 100 and last == 121:  # display
                hidden = value == 0x6E6F6E65  # none
                as_block = value == 0x626C6F63  # block
            elif length == 10 and first == 118 and last == 121:  # visibility
                unseen = value == 0x68696464 or value == 0x636F6C6C  # hidden, collapse
        while i < stop and html[i] != 59:
            i += 1
    return (1 if hidden or unseen else 0) | (2 if as_block else 0)


@compiled
def _after_canonical_tag(html, i):  # type: ignore[no-untyped-def]
    """For a start tag whose name ends at i, return where it ends, its flags, and whether it has `open`.

    The parser writes attributes as ` name="value"`; only the values can contain arbitrary characters.
    """
    n = len(html)
    flags, is_open = 0, False
    while i < n and html[i] != 62:
        i += 1
        begin = i
        i += 1
        while i < n and html[i] != 61 and html[i] != 62:
            i += 1
        length = i - begin
        i += 2
        value = i
        i = next_byte(html, i, 34)
        if length == 5:
            if html[begin] == 115 and html[begin + 1] == 116 and html[begin + 2] == 121:  # style
                flags |= _sight(html, value, min(i, n))
        elif length == 6:
            hidden = html[begin] == 104 and html[begin + 2] == 100 and html[begin + 5] == 110
            flags |= hidden and not holds(html, value, min(i, n), _UNTIL_FOUND)
        elif length == 4 and html[begin] == 111 and html[begin + 1] == 112 and html[begin + 3] == 110:
            is_open = True
        i += 1
    return min(i + 1, n), flags, is_open


@compiled
def _scan(html, keys, values, void, is_raw, is_block, asked_for, room):  # type: ignore[no-untyped-def]
    """Return the fields of Outline."""
    n = len(html)
    code, parent, flags = np.zeros(room, np.int32), np.full(room, -1, np.int32), np.zeros(room, np.int32)
    spans = np.zeros((room, 4), np.int32)
    letters, digits = np.zeros(room, np.int32), np.zeros(room, np.int32)
    indents = np.empty((room, 4), np.int32)
    stack, names = np.zeros(room, np.int32), np.zeros(room, np.uint32)
    depth, elements, runs = -1, 0, 0
    all_letters, all_digits, pre, lines = 0, 0, 0, 0
    empty, broken = True, False  # is the line empty so far; did a <br> end a line with text before it
    i = 0
    while i < n:
        if html[i] != 60:
            begin, spaces = i, 0  # a run of no-break spaces at the beginning of the line
            while i < n and html[i] != 60:
                byte, letter_at = html[i], i
                if byte > 62 and not empty:  # most common: no digit, blank or entity, and the line has begun
                    all_letters += 1
                    i += 1
                    continue
                if byte == 38:
                    if i + 5 < n and html[i + 1] == 110 and html[i + 2] == 98:
                        if empty:
                            if spaces == 0:
                                begin = i
                            spaces += 1
                        i += 6
                        continue
                    while i < n and html[i] != 59 and html[i] != 60:
                        i += 1
                    if i < n and html[i] == 60:
                        i -= 1
                elif is_blank(byte):
                    i += 1
                    continue
                if empty:
                    if spaces and not pre:
                        indents[runs, 0], indents[runs, 1] = begin, letter_at
                        indents[runs, 2], indents[runs, 3] = stack[max(0, depth)], broken
                        runs += 1
                    spaces = 0
                    empty = False
                all_letters += 1
                all_digits += 48 <= byte <= 57
                i += 1
            if empty and spaces and not pre:
                indents[runs, 0], indents[runs, 1] = begin, i
                indents[runs, 2], indents[runs, 3] = stack[max(0, depth)], broken
                runs += 1
            continue
        at = i
        i += 1
        if i >= n:
            break
        if html[i] == 33 or html[i] == 63:  # comment, document type, instruction
            if i + 2 < n and html[i + 1] == 45 and html[i + 2] == 45:
                i = after_comment(html, i + 3)
            else:
                i = after_byte(html, i, 62)
            if html[at + 1] == 63 or (at + 2 < n and html[at + 2] == 45):
                code[elements], parent[elements] = COMMENT, stack[depth] if depth >= 0 else -1
                spans[elements, 0], spans[elements, 1], spans[elements, 2], spans[elements, 3] = at, i, i, i
                elements += 1
            continue
        closing = html[i] == 47
        if closing:
            i += 1
        if i >= n or not is_letter(html[i]):
            continue
        begin = i
        name, stop = name_at(html, i)
        kind = find(keys, values, name, np.int32(0))
        if closing:
            i = after_byte(html, stop, 62)
            if is_block[kind]:
                empty, broken = True, False
            level = depth
            while level >= 0 and names[level] != name:
                level -= 1
            if level < 0:
                continue
            while depth >= level:
                element = stack[depth]
                spans[element, 2], spans[element, 3] = at, i if depth == level else at
                letters[element] = all_letters - letters[element]
                digits[element] = all_digits - digits[element]
                pre -= code[element] == _PRE
                lines -= code[element] == _CODE
                depth -= 1
            continue
        i, said, is_open = _after_canonical_tag(html, stop)
        if kind == _BR:
            broken = not empty
            empty = True
            if not pre and not lines:
                continue
        elif is_block[kind]:
            empty, broken = True, False
        is_void = find(void, void, name, np.uint32(0)) != 0
        if (
            is_void
            and kind != _BR
            and not (kind == _IMG and (holds(html, stop, i, _TEX) or holds(html, stop, i, _MATH)))
        ):
            continue
        code[elements], parent[elements] = kind, stack[depth] if depth >= 0 else -1
        spans[elements, 0], spans[elements, 1], spans[elements, 2], spans[elements, 3] = at, i, i, i
        if is_void:
            elements += 1
            continue
        flags[elements] = said | (kind == _DIALOG and not is_open)
        if kind in (_SCRIPT, _PLAINTEXT) or is_raw[kind]:
            if kind == _SCRIPT:
                end = end_of_script(html, i, begin)
            elif kind == _PLAINTEXT:
                end = n
                while end > i and not (
                    html[end - 1] == 60 and end_of_raw(html, end - 1, begin, stop - begin) == end - 1
                ):
                    end -= 1
                end = end - 1 if end > i else n
            else:
                end = end_of_raw(html, i, begin, stop - begin)
            i = after_tag(html, end + 2 + stop - begin)[0] if end < n else n
            spans[elements, 2], spans[elements, 3] = end, i
            elements += 1
            continue
        letters[elements], digits[elements] = all_letters, all_digits
        depth += 1
        stack[depth], names[depth] = elements, name
        pre += kind == _PRE
        lines += kind == _CODE
        elements += 1
    while depth >= 0:
        element = stack[depth]
        spans[element, 2], spans[element, 3] = n, n
        letters[element] = all_letters - letters[element]
        digits[element] = all_digits - digits[element]
        depth -= 1
    chosen = np.empty(elements, np.int32)
    some = 0
    for element in range(elements):
        if (
            asked_for[code[element]]
            or flags[element]
            or (digits[element] and digits[element] == letters[element] and spans[element, 2] > spans[element, 1])
        ):
            chosen[some] = element
            some += 1
    return (
        code[:elements],
        parent[:elements],
        flags[:elements],
        spans[:elements],
        letters[:elements],
        digits[:elements],
        chosen[:some],
        indents[:runs],
    )
