"""Blocks to lines of text: paragraphs and headings apart, items with dash or number, cells with tabs, code as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tasks.clean.html.blocks import Blocks
from tasks.clean.html.vocabulary import TAG

_LI, _OL, _UL, _DD, _DL, _TR, _TD, _TH, _PRE = (
    TAG[name] for name in ("li", "ol", "ul", "dd", "dl", "tr", "td", "th", "pre")
)
_LISTS = frozenset([_OL, _UL, TAG["menu"], TAG["dir"]])
# What stands apart from its neighbours by a blank line, unless both are parts of the same item or table.
_APART = frozenset(TAG[name] for name in ("p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "figcaption"))


@dataclass(frozen=True)
class _Place:
    """What a line needs to know of the elements around it; numbers are elements, 0 = none."""

    item: int = 0
    depth: int = 0  # of lists
    group: int = 0  # the outermost list or table: its lines stand together
    row: int = 0
    cell: int = 0
    definitions: bool = False  # in a definition list
    described: int = 0  # open descriptions (dd)
    pre: bool = False
    apart: bool = False


def render(blocks: Blocks, keep: np.ndarray, definition_indent: int) -> str:
    """Return the text of the blocks that `keep` (bool[blocks]) names; descriptions (dd) are set in by some blanks."""
    text = blocks.text.tobytes()
    starts, ends, owners = blocks.start.tolist(), blocks.end.tolist(), blocks.element.tolist()
    tree = _Tree(blocks)
    lines: list[str] = []
    before: _Place | None = None
    for i in np.flatnonzero(keep).tolist():
        place = tree.place(owners[i])
        piece = text[starts[i] : ends[i]].decode("utf-8", "replace")
        piece = piece.strip("\n").rstrip() if place.pre else piece.strip()
        if not piece.strip():
            continue
        if before is not None:
            lines.append(_between(before, place, tree))
        if before is None or lines[-1] != "\t":
            piece = _set_in(piece, place, before, tree, definition_indent)
        lines.append(piece)
        before = place
    return "".join(lines)


def _between(before: _Place, place: _Place, tree: _Tree) -> str:
    """Return what stands between two pieces: a tab between cells of a row, a line feed, or a blank line."""
    if place.row and place.row == before.row and place.cell != before.cell and tree.is_data(place, before):
        return "\t"
    if place.row and before.row and tree.is_data(place, before):
        return "\n"
    if place.group and place.group == before.group:
        return "\n\n" if place.pre or before.pre else "\n"
    together = not (place.apart or before.apart or place.group or before.group)
    return "\n" if together else "\n\n"


def _set_in(piece: str, place: _Place, before: _Place | None, tree: _Tree, definition_indent: int) -> str:
    """Return the piece with its dash or number and its indentation."""
    indent, mark = definition_indent * place.described, ""
    if place.item:
        if before is None or (before.item != place.item and not tree.is_inside(before.item, place.item)):
            mark = tree.mark(place.item)
        indent += 2 * (place.depth if not mark else place.depth - 1)
    if not indent and not mark:
        return piece
    lines = piece.split("\n")
    further = " " * (indent + len(mark))
    return "\n".join([" " * indent + mark + lines[0], *(further + line if line else line for line in lines[1:])])


class _Tree:
    """The elements of a page, asked for what lies around a block; answers are kept, as neighbours ask the same."""

    def __init__(self, blocks: Blocks) -> None:
        self._tags: list[int] = blocks.tag.tolist()
        self._parents: list[int] = blocks.parent.tolist()
        self._first, self._last = blocks.first.tolist(), blocks.last.tolist()
        self._places: dict[int, _Place] = {0: _Place()}
        self._numbers: dict[int, int] | None = None

    def place(self, element: int) -> _Place:
        """Return what lies around the blocks of an element."""
        path = []
        while element not in self._places:
            path.append(element)
            element = self._parents[element]
        place = self._places[element]
        for inner in reversed(path):
            place = self._places[inner] = self._enter(replace(place, apart=False), inner)
        return place

    def _enter(self, place: _Place, element: int) -> _Place:
        tag = self._tags[element]
        if tag == _LI:
            return replace(place, item=element, depth=max(1, place.depth))
        if tag in _LISTS:
            return replace(place, depth=place.depth + 1, group=place.group or element)
        if tag == _TR:
            return replace(place, row=element, cell=0)
        if tag in (_TD, _TH):
            return replace(place, cell=element)
        if tag == _DD and place.definitions:
            return replace(place, described=place.described + 1)
        if tag == _DL:
            return replace(place, group=place.group or element, definitions=True)
        return replace(place, pre=place.pre or tag == _PRE, apart=tag in _APART)

    def is_data(self, place: _Place, before: _Place) -> bool:
        """Whether two cells hold one piece of text each: a table of data, not one of layout."""
        return all(self._last[cell] - self._first[cell] == 1 for cell in (place.cell, before.cell) if cell)

    def is_inside(self, inner: int, outer: int) -> bool:
        """Whether an element lies in another."""
        while inner > outer:  # elements are numbered in document order
            inner = self._parents[inner]
        return inner == outer

    def mark(self, item: int) -> str:
        """Return the dash or number of a list's item."""
        parent = self._parents[item]
        if self._tags[parent] != _OL:
            return "- "
        if self._numbers is None:
            self._numbers, counts = {}, dict[int, int]()
            for element, tag in enumerate(self._tags):
                if tag == _LI:
                    number = counts[self._parents[element]] = counts.get(self._parents[element], 0) + 1
                    self._numbers[element] = number
        return f"{self._numbers[item]}. "
