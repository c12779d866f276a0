"""Rewrite XHTML as HTML, so that an HTML parser reads the same as an XML parser would.

In XML `<script src="x.js"/>` is a closed element, CDATA is text, an instruction ends at `?>`, and a document type may
contain declarations. Source that is not well-formed, like half of all pages that claim to be XHTML, is read as HTML. A
page counts as XHTML by its media type or by its XML declaration. Browsers read a page with an XML declaration as HTML
if it is sent as text/html, and show nothing of it if its author closed a script in this way.
"""

from __future__ import annotations

import re

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.hints import find
from tasks.corpus.clean.html.tokens import after_byte, after_cdata, after_tag, is_blank, is_letter, name_at, starts_with
from tasks.corpus.clean.html.vocabulary import VOID_KEYS, hash_table

_DECLARATION = re.compile(r"\A[\ufeff\s]*<\?xml\s")
_PREFIX = re.compile(rb"\sxmlns:([A-Za-z_][\w.-]{0,30})\s*=\s*[\"']http://www\.w3\.org/1999/xhtml[\"']")
_RAW_KEYS = hash_table({"script": 1, "style": 1}, 3)[0]
_DASHES, _CDATA, _DOCTYPE = (np.frombuffer(word, dtype=np.uint8) for word in (b"--", b"[cdata[", b"doctype"))


def is_declared(page: str) -> bool:
    """Whether a page begins with an XML declaration."""
    return _DECLARATION.match(page) is not None


def as_html(page: str) -> str:
    """Return an XHTML page as HTML."""
    source = page.encode("utf-8", "replace")
    found = _PREFIX.search(source, 0, 10_000)
    prefix = np.frombuffer(found[1].lower() + b":" if found else b"", dtype=np.uint8)
    return bytes(_as_html(np.frombuffer(source, dtype=np.uint8), prefix, VOID_KEYS, _RAW_KEYS)).decode()


@compiled
def _room(out, o, more):  # type: ignore[no-untyped-def]
    if o + more <= len(out):
        return out
    larger = np.empty(2 * (o + more), np.uint8)
    larger[:o] = out[:o]
    return larger


@compiled
def _append(html, begin, end, out, o):  # type: ignore[no-untyped-def]
    for k in range(begin, end):
        out[o] = html[k]
        o += 1
    return o


@compiled
def _after(html, i, one, other):  # type: ignore[no-untyped-def]
    """Return the position after the next `one` directly followed by `other`, or the length if there is none."""
    while i + 1 < len(html):
        if html[i] == one and html[i + 1] == other:
            return i + 2
        i += 1
    return len(html)


@compiled
def _after_doctype(html, i):  # type: ignore[no-untyped-def]
    """Return where a document type ends, and where its declarations begin (0 = it has none)."""
    n = len(html)
    begin = i
    while i < n and html[i] != 62 and html[i] != 91:
        i += 1
    if i >= n or html[i] == 62:
        return i + 1, 0
    inner, quote = i, np.uint8(0)
    while i < n:
        byte = html[i]
        if quote:
            if byte == quote:
                quote = np.uint8(0)
        elif byte == 34 or byte == 39:
            quote = byte
        elif byte == 93:
            k = i + 1
            while k < n and is_blank(html[k]):
                k += 1
            if k < n and html[k] == 62:
                return k + 1, inner
        i += 1
    return after_byte(html, begin, 62), 0


@compiled
def _end_of_raw(html, i, begin, length):  # type: ignore[no-untyped-def]
    """Return where the end tag of a script or style begins, and whether CDATA before it contains a similar tag."""
    n = len(html)
    until, hidden = 0, False  # end of the CDATA section
    endless = False
    while i < n:
        if html[i] == 60 and i + 2 + length < n:
            if html[i + 1] == 47 and starts_with(html, i + 2, html[begin : begin + length]):
                stop = html[i + 2 + length]
                if stop == 62 or stop == 47 or is_blank(stop):
                    if i >= until:
                        return i, hidden
                    hidden = True
            elif html[i + 1] == 33 and i >= until and not endless and starts_with(html, i + 2, _CDATA):
                until = after_cdata(html, i + 9)
                if until >= n:
                    until, endless = 0, True
        i += 1
    return n, False


@compiled
def _as_html(html, prefix, void, raw):  # type: ignore[no-untyped-def]
    n = len(html)
    out = np.empty(n + n // 2 + 64, np.uint8)
    o, copied, i = 0, 0, 0
    typed, endless = False, False  # has the document type been read; does an instruction have no end
    while i < n:
        if html[i] != 60:
            i += 1
            continue
        at = i
        if i + 1 >= n:
            break
        byte = html[i + 1]
        if byte == 33 or byte == 63:
            out = _room(out, o, at - copied + 1)
            o = _append(html, copied, at, out, o)
            copied = at
            if byte == 63:
                end = n if endless else _after(html, i + 2, 63, 62)
                endless = end == n
                i = after_byte(html, i + 2, 62) if endless else end
                copied = i
            elif starts_with(html, i + 2, _DASHES):
                i = _after(html, i + 4, 45, 45)  # a comment cannot contain two dashes in a row
                while i < n and html[i] != 62:
                    i = i + 1 if html[i] == 45 else _after(html, i, 45, 45)
                i = min(n, i + 1)
                copied = i
                out = _room(out, o, 3)
                out[o], out[o + 1], out[o + 2] = 60, 33, 62
                o += 3
            elif starts_with(html, i + 2, _CDATA):
                i = after_cdata(html, i + 9)
                copied = i
                stop = i - 3 if i >= 3 and html[i - 1] == 62 and html[i - 2] == 93 and html[i - 3] == 93 else i
                out = _room(out, o, 5 * (stop - at))
                for k in range(at + 9, stop):
                    if html[k] == 38:
                        out[o : o + 5] = np.array([38, 97, 109, 112, 59], np.uint8)
                        o += 5
                    elif html[k] == 60 or html[k] == 62:
                        out[o : o + 4] = np.array([38, 108 if html[k] == 60 else 103, 116, 59], np.uint8)
                        o += 4
                    else:
                        out[o] = html[k]
                        o += 1
            elif typed or not starts_with(html, i + 2, _DOCTYPE):
                i = after_byte(html, i + 2, 62)
            else:
                typed = True
                i, inner = _after_doctype(html, i + 2)
                i = min(n, i)
                if inner:
                    out = _room(out, o, inner - at + 1)
                    o = _append(html, at, inner, out, o)
                    out[o] = 62
                    o += 1
                    copied = i
            continue
        closing = byte == 47
        begin = i + 2 if closing else i + 1
        if begin >= n or not (is_letter(html[begin]) or html[begin] == 95):
            i += 1
            continue
        if len(prefix) and starts_with(html, begin, prefix):
            begin += len(prefix)
        name, stop = name_at(html, begin)
        i, closes_itself, _ = after_tag(html, stop)
        empty = find(void, void, name, np.uint32(0)) != 0
        out = _room(out, o, (at - copied) + 2 * (i - at) + 8)
        o = _append(html, copied, at, out, o)
        copied = i
        if closing and empty:
            continue
        out[o] = 60
        if closing:
            out[o + 1] = 47
        o += 2 if closing else 1
        if empty or not closes_itself:
            o = _append(html, begin, i, out, o)
        else:
            o = _append(html, begin, i - 2, out, o)
            out[o], out[o + 1], out[o + 2] = 62, 60, 47
            o = _append(html, begin, stop, out, o + 3)
            out[o] = 62
            o += 1
        if closing or closes_itself or find(raw, raw, name, np.uint32(0)) == 0:
            continue
        end, hidden = _end_of_raw(html, i, begin, stop - begin)
        if hidden:  # an HTML parser would end the element at that tag
            copied = end
        i = end
    out = _room(out, o, n - copied)
    o = _append(html, copied, n, out, o)
    return out[:o]
