"""Cut scripts, styles, templates, drawings (SVG) and comments out of the source of a page before it is parsed.

Half of a modern page is scripts, and without them all later steps take half the time. They are cut out as the parser
would see them: what looks like a tag in an attribute, a title or a text area is not a tag, and a comment may be closed
by its own opening dashes (`<!-->`). If only the tree can tell how the source continues (an end tag in a drawing that
closes nothing inside it, a frameset, HTML inside a drawing), nothing more is cut, and the parser gets all the rest.
Scripts with linked data are kept separately; scripts with formulas stay in the source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.hints import find
from tasks.corpus.clean.html.tokens import (
    after_byte,
    after_cdata,
    after_comment,
    after_tag,
    end_of_raw,
    end_of_script,
    holds,
    is_letter,
    name_at,
    next_byte,
    starts_with,
)
from tasks.corpus.clean.html.vocabulary import hash_table

# What a tag's name means to the tokenizer, as bits.
_SCRIPT, _RAW, _PLAINTEXT, _TEMPLATE, _SVG, _MATH, _FRAMESET, _FLAT, _BREAKS_OUT, _FONT, _MIXED, _STYLE, _BODY = (
    1 << bit for bit in range(13)
)
_NAMES: dict[int, str] = {
    _SCRIPT: "script",
    _RAW: "style title textarea xmp iframe noembed noframes",
    _STYLE: "style",
    _PLAINTEXT: "plaintext",
    _TEMPLATE: "template",
    _SVG: "svg",
    _MATH: "math",
    _FRAMESET: "frameset",
    # elements that do not nest: without an end tag, or closed by the next start tag
    _FLAT: "area base br col embed hr img input link meta param source track wbr p li option script style",
    # start tags that end a drawing or formula wherever they occur in it
    _BREAKS_OUT: "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li "
    "listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var",
    _FONT: "font",  # <font> does so only with certain attributes
    # elements that occur only in the body: after one of them, a drawing does not open the body
    _BODY: "body div p h1 h2 h3 h4 ul ol table br img span a section article main header nav",
    # elements of drawings and formulas that may contain HTML
    _MIXED: "foreignobject desc title mi mo mn ms mtext annotation-xml",
}
_SCRIPT_OR_STYLE = _SCRIPT | _STYLE
_BITS: dict[str, int] = {}
for _bit, _words in _NAMES.items():
    for _word in _words.split():
        _BITS[_word] = _BITS.get(_word, 0) | _bit
_KEYS, _VALUES = hash_table(_BITS, 9)

_DASHES, _CDATA, _JSON_LD, _FORMULA, _SHADOW = (
    np.frombuffer(word, dtype=np.uint8)
    for word in (b"--", b"[cdata[", b"application/ld+json", b"math/", b"shadowrootmode")
)
_P, _BR = (hash_table({name: 1}, 1)[0].max() for name in ("p", "br"))
_DEEPEST_DRAWING = 64  # levels of nested elements


@dataclass(frozen=True)
class Source:
    """The source of a page without the parts that are cut out, and its scripts with linked data, one after the other.

    depth: of the deepest tag; attributes: of the tag that has most. Both are estimates; large values overload parsers.
    """

    seen: str
    linked: str
    depth: int
    attributes: int


def seen_of(html: str) -> Source:
    """Return the source of a page without the parts that are cut out."""
    source = html.encode("utf-8", "replace")
    seen, linked, depth, attributes = _cut(np.frombuffer(source, dtype=np.uint8), _KEYS, _VALUES)
    scripts = [source[begin:end].decode() for begin, end in linked.tolist()]
    return Source(seen.tobytes().decode(), "".join(scripts), int(depth), int(attributes))


@compiled
def _could_join(out, o):  # type: ignore[no-untyped-def]
    """Whether the end of out[:o] could form a tag or an entity together with the text that follows."""
    if o > 0 and out[o - 1] == 60:
        return True
    for k in range(o - 1, max(-1, o - 40), -1):
        byte = out[k]
        if byte == 38:
            return True
        if not (is_letter(byte) or 48 <= byte <= 57 or byte == 35):
            return False
    return False


@compiled
def _append(html, begin, end, out, o):  # type: ignore[no-untyped-def]
    if end <= begin:
        return o
    out[o : o + end - begin] = html[begin:end]
    return o + end - begin


@compiled
def _apart(out, o):  # type: ignore[no-untyped-def]
    """Write an empty comment where something was cut out, if the joined text could form a tag or an entity."""
    if _could_join(out, o):
        out[o], out[o + 1], out[o + 2] = 60, 33, 62
        return o + 3
    return o


@compiled
def _cut(html, keys, values):  # type: ignore[no-untyped-def]
    """Return what is left, the spans of linked data, the depth of the deepest tag, and the most attributes of a tag."""
    n = len(html)
    out = np.empty(n + 3, np.uint8)
    o, copied = 0, 0  # html[:copied] has been copied to out[:o] or cut out
    linked = np.empty((16, 2), np.int64)
    links = 0
    depth, deepest, most = 0, 0, 0
    certain = True  # whether the parser's state is known
    endless = False  # whether a script has no end tag
    drawing = np.empty(_DEEPEST_DRAWING, np.uint32)  # names of the open elements of a drawing or a formula
    mixed = np.empty(_DEEPEST_DRAWING, np.bool_)
    inside = 0  # how many are open
    in_body = False
    templates, cut_template = 0, 0  # number of open templates; which of them (from 1) is cut out
    # restored when a drawing or a template is cut out: length of the output, depth, deepest, most
    before_drawing, before_template = np.zeros(4, np.int64), np.zeros(4, np.int64)
    is_drawing = False
    i = 0
    while i < n:
        at = next_byte(html, i, 60)
        i = at + 1
        if i >= n:
            break
        if html[i] == 33:  # <!
            if starts_with(html, i + 1, _DASHES):
                i = after_comment(html, i + 3)
                if certain:
                    o = _apart(out, _append(html, copied, at, out, o))
                    copied = i
            elif inside and certain and starts_with(html, i + 1, _CDATA):
                i = after_cdata(html, i + 8)
            else:
                i = after_byte(html, i, 62)
            continue
        if html[i] == 63:  # <?
            i = after_byte(html, i, 62)
            continue
        closing = html[i] == 47
        if closing:
            i += 1
            if i >= n:
                break
        if not is_letter(html[i]):
            if closing:
                i = after_byte(html, i, 62)
            continue
        begin = i
        name, i = name_at(html, i)
        length = i - begin
        bits = find(keys, values, name, np.int32(0))
        i, closes_itself, attributes = after_tag(html, i)
        if not (certain and bits & _SCRIPT_OR_STYLE):
            most = max(most, attributes)
        if closing:
            if not bits & _FLAT:
                depth = max(0, depth - 1)
            if not certain:
                continue
            if inside:
                if name in (_P, _BR):
                    inside = 0
                    continue
                level = inside - 1
                while level >= 0 and drawing[level] != name:
                    level -= 1
                if level < 0:  # it may close an element around the drawing
                    certain = False
                    continue
                inside = level
                if inside == 0 and is_drawing:
                    copied = i
                    o, depth = before_drawing[0], before_drawing[1]
                    deepest, most = before_drawing[2], before_drawing[3]
                    o = _apart(out, o)
            elif bits & _TEMPLATE and templates:
                if templates == cut_template:
                    copied = i
                    cut_template = 0
                    o, depth = before_template[0], before_template[1]
                    deepest, most = before_template[2], before_template[3]
                    o = _apart(out, o)
                templates -= 1
            continue
        if inside and certain:
            if bits & _BREAKS_OUT and not mixed[inside - 1]:
                inside = 0  # nothing of the drawing is cut
            elif mixed[inside - 1] or (bits & _FONT and attributes) or inside == _DEEPEST_DRAWING:
                certain = False
            elif closes_itself:
                continue
            else:
                drawing[inside] = name
                mixed[inside] = bits & _MIXED != 0
                inside += 1
                depth += 1
                deepest = max(deepest, depth)
                continue
        if not bits & _FLAT and not (closes_itself and bits & (_SVG | _MATH)):
            depth += 1
            deepest = max(deepest, depth)
        if bits & _SCRIPT:
            data = holds(html, begin, i, _JSON_LD)
            if not certain and (endless or not data):
                continue
            formula = holds(html, begin, i, _FORMULA)
            end = end_of_script(html, i, begin)
            endless = end >= n
            if not endless:
                end = after_tag(html, end + 2 + length)[0]
            if data and not endless:
                if links == len(linked):
                    more = np.empty((2 * links, 2), np.int64)
                    more[:links] = linked
                    linked = more
                linked[links, 0], linked[links, 1] = at, end
                links += 1
            if certain and not formula:
                o = _apart(out, _append(html, copied, at, out, o))
                copied = end
            if certain or not endless:
                i = end
            continue
        in_body |= bits & _BODY != 0
        if not certain:
            continue
        if bits & _RAW:
            i = end_of_raw(html, i, begin, length)
            if i < n:
                i, _, attributes = after_tag(html, i + 2 + length)
            if bits & _STYLE:
                o = _apart(out, _append(html, copied, at, out, o))
                copied = i
            elif not bits & _FLAT:
                depth -= 1
        elif bits & (_SVG | _MATH):
            o = _append(html, copied, at, out, o)
            copied = at
            if not closes_itself:
                before_drawing[:] = o, depth - 1, deepest, most
                drawing[0], mixed[0] = name, False
                inside, is_drawing = 1, bits & _SVG != 0 and in_body
            elif bits & _SVG and in_body:
                o = _apart(out, o)
                copied = i
        elif bits & _TEMPLATE:
            templates += 1
            if cut_template == 0 and not holds(html, begin, i, _SHADOW):
                cut_template = templates
                o = _append(html, copied, at, out, o)
                copied = at
                before_template[:] = o, depth - 1, deepest, most
        elif bits & _PLAINTEXT:
            break
        elif bits & _FRAMESET:
            certain = False
    o = _append(html, copied, n, out, o)
    return out[:o], linked[:links], deepest, most
