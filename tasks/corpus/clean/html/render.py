"""Write blocks as lines of text: paragraphs and headings apart, items with dash or number, cells with tabs, code."""

from __future__ import annotations

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.blocks import Blocks
from tasks.corpus.clean.html.vocabulary import TAG, TAGS

_LI, _OL, _DD, _DL, _TR, _TD, _TH, _PRE = (TAG[name] for name in ("li", "ol", "dd", "dl", "tr", "td", "th", "pre"))


def _set_of(names: str) -> np.ndarray:
    found = np.zeros(len(TAGS) + 1, dtype=np.bool_)
    found[[TAG[name] for name in names.split()]] = True
    return found


_LISTS = _set_of("ol ul menu dir")
# Elements that blank lines separate from their neighbours, unless both are parts of the same list or table.
_APART = _set_of("p h1 h2 h3 h4 h5 h6 pre blockquote figcaption")

# What a line needs to know about the elements around it: columns of int32[elements, 10]; elements by number, 0 = none.
_ITEM, _DEPTH, _GROUP, _ROW, _CELL, _DEFINITIONS, _DESCRIBED, _CODE, _ALONE, _NUMBER = range(10)
# list item; depth of lists; outermost list, whose lines have no blank lines between them; table row; cell; whether in a
# definition list; open descriptions (dd); whether in <pre>; whether blank lines separate it; the item's number in an
# ordered list (-1 in another list)

_BETWEEN = ("", "\t", "\n", "\n\n")


def render(blocks: Blocks, keep: np.ndarray, definition_indent: int) -> str:
    """Return the text of the blocks in `keep` (bool[blocks]); descriptions (dd) are indented by `definition_indent`."""
    text = blocks.text.tobytes()
    places = _places(blocks.tag, blocks.parent, _LISTS, _APART)
    kept = np.flatnonzero(keep)
    within = blocks.element[kept]
    columns = (blocks.start[kept], blocks.end[kept], within, places[within, _CODE])
    pieces, elements = [], []
    for start, end, element, code in zip(*(column.tolist() for column in columns), strict=True):
        piece = text[start:end].decode("utf-8", "replace")
        piece = piece.strip("\n").rstrip() if code else piece.strip(" \n\t\r\f\v").rstrip()  # HARD_BLANK stays
        if piece:
            pieces.append(piece)
            elements.append(element)
    layout = _layout(
        np.array(elements, dtype=np.int32), places, blocks.parent, blocks.first, blocks.last, definition_indent
    )
    lines: list[str] = []
    for piece, (between, indent, mark) in zip(pieces, layout.tolist(), strict=True):
        lines += (_BETWEEN[between], _set_in(piece, indent, mark) if indent or mark else piece)
    return "".join(lines)


def _set_in(piece: str, indent: int, mark: int) -> str:
    """Return the piece with its indentation and its number (-1 = a dash, 0 = neither)."""
    sign = "" if mark == 0 else ("- " if mark < 0 else f"{mark}. ")
    lines = piece.split("\n")
    further = " " * (indent + len(sign))
    return "\n".join([" " * indent + sign + lines[0], *(further + line if line else line for line in lines[1:])])


@compiled
def _places(tags, parents, lists, apart):  # type: ignore[no-untyped-def]
    """Return for each element what a line in it needs to know: int32[elements, 10], see the columns above."""
    out = np.zeros((len(tags), 10), np.int32)
    items = np.zeros(len(tags), np.int32)
    for element in range(1, len(tags)):  # document order: the parent comes first
        tag, place = tags[element], out[element]
        place[:] = out[parents[element]]
        place[_ALONE] = 0
        if tag == _LI:
            parent = parents[element]
            items[parent] += 1
            place[_ITEM], place[_DEPTH] = element, max(1, place[_DEPTH])
            place[_NUMBER] = items[parent] if tags[parent] == _OL else -1
        elif lists[tag]:
            place[_DEPTH] += 1
        elif tag == _TR:
            place[_ROW], place[_CELL] = element, 0
        elif tag in (_TD, _TH):
            place[_CELL] = element
        elif tag == _DD and place[_DEFINITIONS]:
            place[_DESCRIBED] += 1
        elif tag == _DL:
            place[_DEFINITIONS] = 1
        else:
            place[_CODE] |= tag == _PRE
            place[_ALONE] = apart[tag]
        if (lists[tag] or tag == _DL) and place[_GROUP] == 0:
            place[_GROUP] = element
    return out


@compiled
def _is_data(place, before, first, last):  # type: ignore[no-untyped-def]
    """Whether two cells hold one block each, as in a data table, not a table that is used for layout."""
    one, other = place[_CELL], before[_CELL]
    return (one == 0 or last[one] - first[one] == 1) and (other == 0 or last[other] - first[other] == 1)


@compiled
def _layout(elements, places, parents, first, last, definition_indent):  # type: ignore[no-untyped-def]
    """Return what comes before each piece: index in _BETWEEN, indent, number of the item (-1 = a dash, 0 = none)."""
    out = np.zeros((len(elements), 3), np.int32)
    for i in range(len(elements)):
        place, before = places[elements[i]], places[elements[max(0, i - 1)]]
        if i > 0:
            data = _is_data(place, before, first, last)
            if place[_ROW] and place[_ROW] == before[_ROW] and place[_CELL] != before[_CELL] and data:
                out[i, 0] = 1  # a cell beside another: no indent
                continue
            if place[_ROW] and before[_ROW] and data:
                out[i, 0] = 2
            elif place[_GROUP] and place[_GROUP] == before[_GROUP]:
                out[i, 0] = 3 if place[_CODE] or before[_CODE] else 2
            else:
                together = not (place[_ALONE] or before[_ALONE] or place[_GROUP] or before[_GROUP])
                out[i, 0] = 2 if together else 3
        indent = definition_indent * place[_DESCRIBED]
        item = place[_ITEM]
        if item:
            inner = before[_ITEM]  # is the piece before in the same item, or in an item inside it?
            while inner > item:  # elements are numbered in document order
                inner = parents[inner]
            if i == 0 or inner != item:
                out[i, 2] = place[_NUMBER]
            indent += 2 * (place[_DEPTH] - (1 if out[i, 2] else 0))
        out[i, 1] = indent
    return out
