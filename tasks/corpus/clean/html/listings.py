"""Code in a page as lines of text, without line numbers and with its indentation."""

from __future__ import annotations

import itertools
import re

import numpy as np

from tasks.corpus.clean.html.outline import CODE, Outline

HARD_BLANK = "\u00a0".encode()  # marks a blank of an indent; other no-break spaces are &nbsp; in canonical source

_BR, _PRE, _LI, _OL, _CODE, _TABLE, _TR = (CODE[name] for name in ("br", "pre", "li", "ol", "code", "table", "tr"))
_CELLS = [CODE["td"], CODE["th"]]
_OF_LINES = [_PRE, _CODE]
_CODE_TAGS = frozenset(CODE[name] for name in ("code", "tt", "kbd", "samp", "pre"))

_NUMBERS = re.compile(rb"line[-_]?n|gutter|\bln\b|\blnum|blob-num|crayon-num|hljs-ln-n|diff-num|\bnums\b")
_ANY_NUMBERS = re.compile(rb"gutter|\bln\b|\bnums\b")  # those of these names that are also used for other things
_LISTING = re.compile(rb"linenums|\bdp-|highlight|geshi|prettyprint|source-?code|hljs")
_SOURCE = re.compile(
    rb"code|highlight|syntax|source|listing|snippet|program|prettyprint|hljs|terminal|console|geshi|verbatim|crayon|"
    rb"monospace|courier"
)
_SAYS = re.compile(rb' (?:class|id|role)="([^"]*)"')
_FONT = re.compile(rb' (?:style|face)="([^"]*)"')
ANY_TAG = re.compile(rb"<[^>]*>")
_CODE_BEGINS = re.compile(rb"<(?:code|pre|tt|kbd|samp)[ >]")
_NEARBY = 400  # bytes after the line numbers within which the code must begin
_LINE_END = re.compile(rb"<br>|</(?:div|p|li|tr)>")
_BLANKS = re.compile(rb"\s*(?=<)")

Edit = tuple[int, int, bytes]


class Listings:
    """Edits of a page's code: begin, end and replacement. An edit inside the range of another one is ignored."""

    def __init__(self, source: bytes, found: Outline) -> None:
        self.source, self.found = source, found
        self.begins = np.ascontiguousarray(found.spans[:, 0])  # contiguous: searching a column would copy it each time
        self.edits: list[Edit] = []
        self.unneeded, self.of_hidden = 0, 0  # edits that resiliparse makes itself: always; in main content
        self.until: dict[int, int] = {}  # by kind of element: where the last one that was handled ends
        self.is_code: dict[int, bool] = {-1: False}

    def drop(self, begin: int, after: int, *, unneeded: bool = False) -> None:
        """Leave out a part of the page."""
        self.edits.append((begin, after, b""))
        self.unneeded += unneeded

    def first_from(self, place: int) -> int:
        """Return the first element that begins at or after a place."""
        return int(np.searchsorted(self.begins, place))

    def names(self, element: int) -> bytes:
        """Return an element's class, id and role in lower case."""
        begin, inner = self.found.spans[element, :2].tolist()
        return b"\0".join(_SAYS.findall(self.source, begin, inner)).lower()

    def is_new(self, kind: int, begin: int, after: int) -> bool:
        """Whether an element lies outside all elements of its kind handled so far, so that no text is read twice."""
        if begin < self.until.get(kind, 0):
            return False
        self.until[kind] = after
        return True

    def around(self, element: int, codes: list[int], most: int) -> int:
        """Return the nearest element with one of these codes, from this one up, within `most` levels; -1 = none."""
        for _ in range(most):
            if element < 0 or self.found.code[element] in codes:
                return element
            element = int(self.found.parent[element])
        return -1

    def line_end(self, element: int) -> None:
        """Write <br> in code as a line feed; <code> that contains <br> becomes <pre>."""
        begin, _, _, after = self.found.spans[element].tolist()
        block = self.around(element, _OF_LINES, 6)
        if block < 0:
            return
        self.edits.append((begin, after + self.source.startswith(b"\n", after), b"\n"))
        first, second, third, fourth = self.found.spans[block].tolist()
        is_new = self.found.code[block] != _PRE and self.is_new(_CODE, first, fourth)
        if is_new and self.around(block, [_PRE], 6) < 0:
            self.edits += ((first, second, b"<pre>"), (third, fourth, b"</pre>"))

    def numbers(self, element: int) -> None:
        """Leave out line numbers; a table that shows them beside code is replaced by the code."""
        found, source = self.found, self.source
        begin, inner, end, after = found.spans[element].tolist()
        cell = self.around(element, _CELLS, 4)
        in_cell = cell >= 0 and found.letters[cell] == found.letters[element]
        names = self.names(element)
        if _NUMBERS.search(names):
            if (cell >= 0 or _ANY_NUMBERS.search(names)) and not self._is_by_code(element, cell):
                return
        else:
            if not (in_cell and found.code[element] == _PRE and self.is_new(_PRE, begin, after)):
                return
            if not _count_up(source, inner, end):
                return
        self.drop(begin, after)
        if in_cell:
            table = self.around(cell, [_TABLE], 4)
            if table >= 0:
                self._table_of_code(table)

    def _is_by_code(self, element: int, cell: int) -> bool:
        """Whether line numbers are in code or in an element named as code, or are followed by code."""
        after = int(self.found.spans[element if cell < 0 else cell, 3])
        follows = self.source[after : after + _NEARBY]
        if _CODE_BEGINS.search(follows) or _SOURCE.search(b"\0".join(_SAYS.findall(follows)).lower()):
            return True
        return self._in_code(element)

    def _table_of_code(self, table: int) -> None:
        """Write a table of code lines and their numbers as <pre>."""
        found, source = self.found, self.source
        begin, _, _, after = found.spans[table].tolist()
        if not self.is_new(_TABLE, begin, after):  # already done for an earlier row
            return
        last = self.first_from(after)
        lines: list[bytes] = []
        row: list[bytes] = []
        until = 0
        for element in range(table + 1, last):
            code, (start, inner, end, _) = found.code[element], found.spans[element].tolist()
            if start < until:
                continue
            if code == _TR:
                lines += [b"".join(row)] if row else []
                row = []
            elif code in _CELLS:
                until = end
                if found.digits[element] == found.letters[element] and _is_beside(source, found, element):
                    continue
                row.append(_code_of(source, found, element, inner, end))
        lines += [b"".join(row)] if row else []
        self.edits.append((begin, after, b"<pre>" + b"\n".join(lines) + b"</pre>"))

    def list_of_lines(self, element: int) -> None:
        """Write a numbered list whose items are lines of code as <pre>, without the numbers."""
        found, source = self.found, self.source
        begin, inner, end, after = found.spans[element].tolist()
        parent = int(found.parent[element])
        if begin < self.until.get(_OL, 0):
            return
        if not (
            (parent >= 0 and (found.code[parent] in _CODE_TAGS or _LISTING.search(self.names(parent))))
            or _LISTING.search(self.names(element))
        ):
            return
        self.until[_OL] = after
        in_pre = self.around(parent, [_PRE], 3) >= 0
        self.edits += ((begin, inner, b"" if in_pre else b"<pre>"), (end, after, b"" if in_pre else b"</pre>"))
        last = self.first_from(after)
        for item in range(element + 1, last):
            if found.code[item] == _LI and found.parent[item] == element:
                first, second, third, fourth = found.spans[item].tolist()
                blanks = _BLANKS.match(source, fourth)
                self.edits += ((first, second, b""), (third, blanks.end() if blanks else fourth, b"\n"))

    def indents(self) -> None:
        """Keep no-break spaces at the beginning of a line of code or of a poem: they are its indent."""
        source = self.source
        for begin, end, element, broken in self.found.indents.tolist():
            if (
                source.startswith(b"</", end)
                and not source.startswith(b"</code", end)
                and source[end + 2 : end + 3] in b"pdlt"
            ):
                continue  # an empty paragraph that only makes vertical space
            run = source[begin:end].replace(b"&nbsp;", b" ")
            run = b" " * len(run) if b"\n" not in run else b" ".join(run.split(b"\n"))
            if (broken and len(run) >= 2) or self._in_code(element):
                self.edits.append((begin, end, HARD_BLANK * len(run)))
                self.unneeded += 1

    def _in_code(self, element: int) -> bool:
        """Whether an element is code or lies in code; each element is looked at only once."""
        found, source = self.found, self.source
        way = []
        while element not in self.is_code:
            way.append(element)
            begin, inner, _, _ = found.spans[element].tolist()
            tag = source[begin:inner]
            if found.code[element] in _CODE_TAGS or (
                len(tag) > 10 and _SOURCE.search(b"\0".join([self.names(element), *_FONT.findall(tag)]).lower())
            ):
                self.is_code[element] = True
                break
            element = int(found.parent[element])
        answer = self.is_code[element]
        for passed in way:
            self.is_code[passed] = answer
        return answer


def _count_up(source: bytes, inner: int, end: int) -> bool:
    """Whether a part of the page contains only numbers, each one greater by 1 than the one before."""
    numbers = [int(number) for number in ANY_TAG.sub(b"\n", source[inner:end]).split()[:100_000] if len(number) < 9]
    return len(numbers) > 1 and all(one + 1 == other for one, other in itertools.pairwise(numbers))


def _is_beside(source: bytes, found: Outline, cell: int) -> bool:
    """Whether a cell of digits holds line numbers: its markup says so, it is empty, or it is a <pre> that counts up."""
    begin, inner, end, _ = found.spans[cell].tolist()
    said = b"\0".join(_SAYS.findall(source, begin, end)).lower()
    return (
        _NUMBERS.search(said) is not None
        or end == inner
        or (source.startswith(b"<pre>", inner) and _count_up(source, inner, end))
    )


def _code_of(source: bytes, found: Outline, cell: int, inner: int, end: int) -> bytes:
    """Return the lines of code in a cell."""
    text = source[inner:end]
    if found.code[cell + 1 : cell + 2].tolist() == [_PRE] or b"<pre" in text:
        text = text[text.find(b"<pre") :]
        text = text[: text.rfind(b"</pre>")] if b"</pre>" in text else text
        text = text.replace(b"<br>", b"\n")
    elif b"<div" in text or b"<br>" in text or b"<p" in text:
        text = _LINE_END.sub(b"\0", text.replace(b"\n", b" ")).replace(b"\0", b"\n")
    return ANY_TAG.sub(b"", text).strip(b"\n").rstrip()
