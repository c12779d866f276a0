"""Tags, attributes and character references in the bytes of a page, as HTML's tokenizer sees them.

Only tags that can contain or hide a link are handed to Python; one pattern skips all the others. The
patterns are possessive, and after a tag or a comment without an end there is nothing left to read, so each byte is
read a few times at most, whatever the page contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5

_VALUE = rb"""(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+|(?=>))"""
_INSIDE = rb"[^>=]*+(?:=\s*+" + _VALUE + rb"[^>=]*+)*+"  # of a tag: `>` in a quoted value does not end it
_HIDING = rb"script|style|textarea|title|xmp|noembed|noframes|iframe"  # whose content is text
_NAMES = rb"(?:a|area|link|base|meta|frame|plaintext|template|svg|math|" + _HIDING + rb")"
_NEXT = re.compile(
    rb"(?:[^<]++"
    # the next two are shortcuts for those that follow: the first letter is enough to skip most tags
    rb"|</[a-ln-ru-z][^>=]*+>"
    rb"|<[cdeghjkoqruvwyz]" + _INSIDE + rb">"
    rb"|<(?!" + _NAMES + rb"[\s/>])[a-z]" + _INSIDE + rb">"
    rb"|</(?!(?:template|svg|math)[\s/>])[a-z]" + _INSIDE + rb">"
    rb"|</(?![a-z])[^>]*+>|<[!?](?!--|\[CDATA\[)[^>]*+>|<(?![a-z/!?])"
    rb")*+<(?:(/?+" + _NAMES + rb")(?=[\s/>])(" + _INSIDE + rb")>|!(--|\[CDATA\[))",
    re.I,
)
_ATTRIBUTE = re.compile(rb"""[\s/]*+([^\s/>][^\s/>=]*+)\s*+(?:=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+))?)?""")
_EMPTY_COMMENT, _COMMENT_END = re.compile(rb"-?>"), re.compile(rb"--!?>")
_ENDS = {name: re.compile(rb"</" + name + rb"(?=[\s/>])", re.I) for name in _HIDING.split(b"|")}
_SCRIPT = re.compile(rb"<script(?=[\s/>])", re.I)
_FOREIGN = (b"svg", b"math")
_PLAIN = frozenset(_ENDS) - {b"iframe"}  # these contain no link
XML_PROLOG = (  # what may precede the root of an XML document
    rb"(?:<\?[\w-]+[^>]{0,500}>|<!DOCTYPE\s[^>\[]{0,300}(?:\[[^\]]{0,65536}\]\s*)?>"
    rb"|<!--(?:[^-]|-(?!->)){0,10000}-->|\s)*+"
)
_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?|([A-Za-z][A-Za-z0-9]{1,40})(;|(?![A-Za-z0-9=])))")
_XML_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9a-fA-F]+)|([0-9]+));|([A-Za-z][A-Za-z0-9]{1,40})(;))")


class Tag:
    """A start tag: its name in lower case, what follows the name, and whether it is part of SVG or MathML."""

    __slots__ = ("foreign", "inside", "name")

    def __init__(self, name: bytes, inside: bytes, foreign: bool) -> None:
        self.name, self.inside, self.foreign = name, inside, foreign

    def attributes(self) -> dict[bytes, bytes]:
        """Return the attributes: names in lower case, values not unescaped; the first of a repeated name."""
        found: dict[bytes, bytes] = {}
        for name, double, single, bare in _ATTRIBUTE.findall(self.inside):
            found.setdefault(name.lower(), double or single or bare)
        return found


def tags(body: bytes, *, xml: bool = False) -> Iterator[Tag]:
    """Yield the start tags that may contain a link or a directive: a, area, link, base, meta, frame and iframe.

    The content of comments, scripts, styles, titles, text fields and templates is text or inactive, and is skipped.
    `xml`: parse as XHTML, in which `<script/>` is closed and CDATA is text, as they also are inside svg and math.
    """
    position, foreign, templates = 0, False, 0
    while (token := _NEXT.match(body, position)) is not None:
        position = token.end()
        if token[3] is not None:
            position = _end_of_declaration(body, position, token[3], cdata=xml or foreign)
            continue
        name, inside = token[1].lower(), token[2]
        if name == b"a":  # as most are
            if not templates:
                yield Tag(name, inside, foreign)
            continue
        closed = inside.endswith(b"/") and (xml or foreign or name in _FOREIGN)
        if name in _FOREIGN:
            foreign = not closed
        elif name[:1] == b"/":
            if name == b"/template":
                templates = max(0, templates - 1)
            elif name[1:] in _FOREIGN:
                foreign = False
        elif name == b"template":
            templates += not closed
        elif name == b"plaintext":
            return
        else:
            if not templates and name not in _PLAIN:
                yield Tag(name, inside, foreign)
            if name in _ENDS and not closed:
                position = _end_of_text(body, position, name)


def _end_of_declaration(body: bytes, position: int, kind: bytes, *, cdata: bool) -> int:
    """Return where the comment or CDATA section that begins before `position` ends."""
    if kind == b"--":
        if (empty := _EMPTY_COMMENT.match(body, position)) is not None:
            return empty.end()
        end = _COMMENT_END.search(body, position)
        return len(body) if end is None else end.end()
    mark = b"]]>" if cdata else b">"  # in HTML, `<![CDATA[` is a comment up to the next `>`
    found = body.find(mark, position)
    return len(body) if found < 0 else found + len(mark)


def _end_of_text(body: bytes, position: int, name: bytes) -> int:
    """Return where the content of a text-only element ends; without an end tag it continues to the end of the page.

    In a script, an end tag between `<!-- <script` and `-->` closes the inner script (HTML § 13.2.5.17 and following).
    """
    start = position
    while (end := _ENDS[name].search(body, position)) is not None:
        if name == b"script" and (opened := body.find(b"<!--", start, end.start())) >= 0:
            inner = _SCRIPT.search(body, opened, end.start())
            if inner is not None and body.find(b"-->", opened + 2, inner.start()) < 0:
                start = position = end.end()
                continue
        return end.start()
    return len(body)


def unescape_attribute(text: str) -> str:
    """Replace the character references in an attribute's value.

    A name without its semicolon is not a reference before `=`, a letter or a digit, so `?id=0&section=7` is unchanged.
    """
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    if reference[3] is not None:
        return html5.get(reference[3] + reference[4], reference[0])
    hexadecimal, decimal = reference[1], reference[2]
    digits = (hexadecimal or decimal).lstrip("0")
    if len(digits) > 8:  # not a character; also, Python refuses to parse thousands of digits
        return "\ufffd"
    return unescape(f"&#{'x' if hexadecimal else ''}{digits or '0'};")


def unescape_xml(text: str) -> str:
    """Replace the references in XML and in almost-XML: numeric ones, and names that end in a semicolon."""
    return _XML_REFERENCE.sub(_character, text) if "&" in text else text
