"""Reduce the canonical source of a parsed page to its visible text, in plain elements and without repetitions.

Scripts, drawings, hidden elements, line numbers beside code, and the second version of a formula are left out. A hidden
element is kept if a reader can open it (tabs, answers), or if it holds more text than everything visible, as a script
then shows it. <noscript> is kept if there is almost nothing around it, as some forums put all their posts there; on
other pages it holds pictures that are loaded later, counters, and the advice to allow scripts. Subscripts and
superscripts, formulas, readings (ruby) and indents of no-break spaces become text, so that all extractors agree.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from tasks.corpus.clean.html.formulas import LONGEST, formula, raised, tex
from tasks.corpus.clean.html.listings import ANY_TAG, Edit, Listings
from tasks.corpus.clean.html.outline import CODE, COMMENT, HIDDEN, SHOWN_AS_BLOCK, Outline, outline

# A hidden element with at least this many letters may be the page's text, shown by a script; a cookie notice has fewer.
_MUCH = 1_000
# <noscript> is kept if the page shows at most _MOST_SEEN letters, and <noscript> holds at least _LEAST_HELD letters and
# _TIMES as many as the page shows. Of the 373 mixed pages this applies to five, all of the same forum software: they
# show up to 70 letters, and hold 2,500 or more in <noscript>. The longest advice to allow scripts has 200.
_MOST_SEEN, _LEAST_HELD, _TIMES = 1_000, 500, 3

_NEVER_SEEN = [CODE[name] for name in ("style", "iframe", "noembed", "noframes", "datalist")] + [COMMENT]
_SCRIPT, _SVG, _TEMPLATE, _NOSCRIPT, _TITLE, _HEAD, _FOREIGN = (
    CODE[name] for name in ("script", "svg", "template", "noscript", "title", "head", "foreignobject")
)
_WHOLE = [CODE[name] for name in ("html", "head", "body", "main")]  # these are only hidden until a script has run
_MATH, _IMG, _SUP, _SUB, _RUBY, _BR, _OL, _RT, _RP = (
    CODE[name] for name in ("math", "img", "sup", "sub", "ruby", "br", "ol", "rt", "rp")
)
_READING = [CODE[name] for name in ("rb", "rtc", "rt", "rp")]
_AS_WRITTEN = [CODE[name] for name in ("xmp", "listing", "plaintext")]

# Names of a hidden element that a reader can open, or that React's server rendering moves to its place by a script.
_OPENED = re.compile(
    rb"accord|collaps|\btab|-tab|_tab|tabs?\b|panel|faq|answer|toggle|expand|spoiler|disclos|more\b|less\b|less-|more-|"
    rb"\As:\d|\0s:\d"
)
_ENCODED = re.compile(rb'\stype="math/(tex|latex|asciimath|mml)([^"]*)"', re.I)
_OF_FORMULA = re.compile(
    rb'\s(?:class="(?:[^"]*\s)?(?:tex|latex|math|mwe-math[\w-]*|equation|formula)[\s"]|src="[^"]*(?:'
    rb"latex|mathtex|mimetex|/math/|tex\.cgi|chart\?cht=tx))",
    re.I,
)
_ALT = re.compile(rb'\salt="([^"]*)"')
_SKIPPED = [CODE["style"], CODE["iframe"], COMMENT]
_PLAINLY_HIDDEN = re.compile(
    rb' (?:hidden=|style="(?:[^"]*;)?\s*(?:display|visibility)\s*:\s*(?:none|hidden)\s*[;"])', re.I
)
_HIDES = re.compile(rb' (?:hidden|style)="[^"]*"')
_INLINE_TAG = re.compile(rb"</?(?:i|b|em|var|span|a|strong|su[bp]|font|small|code|tt|u|cite|mark)(?: [^<>]*)?>\Z")
_MATHJAX_3 = re.compile(rb"<mjx-container[ >]")
_PARTS = re.compile(rb"<mjx-(math|assistive-mml)[ >]")
_TYPESET = re.compile(rb'<(?:span|div|nobr) [^>]*class="(?:MathJax(?:_\w+)?|MJXc-display|mjx-chtml)["\s]')


class Visible(NamedTuple):
    """The visible part of a page as canonical source, and whether resiliparse gets the same from the whole source."""

    source: bytes
    same_text: bool
    same_main_content: bool


def visible(source: bytes) -> Visible:
    """Return the visible part of a page from its canonical source."""
    page = _Edits(source, outline(source))
    edits = page.all()
    if not edits:
        return Visible(source, same_text=True, same_main_content=True)
    needed = len(edits) - page.unneeded
    edits.sort(key=lambda edit: (edit[0], -edit[1]))
    pieces: list[bytes] = []
    place = 0
    for begin, end, new in edits:
        if begin >= place:  # else the edit lies in a part that is already replaced
            pieces += (source[place:begin], new)
            place = end
    seen = b"".join([*pieces, source[place:]])
    return Visible(seen, same_text=not needed, same_main_content=needed == page.of_hidden)


class _Edits(Listings):
    """The edits of a page: begin, end and replacement. An edit inside the range of another one is ignored."""

    def __init__(self, source: bytes, found: Outline) -> None:
        super().__init__(source, found)
        self.chosen = found.chosen.tolist()
        self.codes = found.code[found.chosen].tolist()
        self.math = _MATH in self.codes
        self.scripts = _SCRIPT in self.codes and b'type="math/' in source

    def all(self) -> list[Edit]:
        """Return the edits of the page."""
        found = self.found
        hidden = self._hidden()
        for element, code in zip(self.chosen, self.codes, strict=True):
            begin, inner, end, after = found.spans[element].tolist()
            if element in hidden:
                self.drop(begin, after, unneeded=code == _NOSCRIPT)
                self.of_hidden += code != _NOSCRIPT and _PLAINLY_HIDDEN.search(self.source, begin, inner) is not None
            elif code in _NEVER_SEEN:
                self.drop(begin, after, unneeded=code in _SKIPPED)
            elif code == _SCRIPT:
                self._script(begin, inner, end, after)
            elif code == _SVG:
                self._drawing(element)
            elif code in _AS_WRITTEN:
                self._as_written(begin, inner, end, after)
            elif code == _TITLE:
                if found.parent[element] < 0 or found.code[found.parent[element]] != _HEAD:
                    self.drop(begin, after)
            elif code == _TEMPLATE:
                self._template(begin, inner, end, after)
            elif code == _MATH:
                self._math(begin, inner, after)
            elif code == _IMG:
                self._picture(begin, after)
            elif code in (_SUP, _SUB):
                self._raised(element, low=code == _SUB)
            elif code == _RUBY:
                self._ruby(element)
            elif code == _OL:
                self.list_of_lines(element)
            elif code == _BR:
                self.line_end(element)
            elif found.digits[element] and found.digits[element] == found.letters[element]:
                self.numbers(element)
            elif found.flags[element] & SHOWN_AS_BLOCK and code == 0 and found.letters[element]:
                text_follows = not self.source[after : after + 100].lstrip().startswith(b"<")
                self.edits += ((begin, begin, b"<br>"), (after, after, b"<br>" if text_follows else b""))
        self._typeset_twice()
        self._mathjax_3()
        self.indents()
        return self.edits

    def _hidden(self) -> set[int]:
        """Return the outermost elements that are hidden and to be dropped; make the other hidden ones visible."""
        found, source = self.found, self.source
        candidates = [
            element
            for element in self.chosen
            if (found.flags[element] & HIDDEN and found.code[element] not in _WHOLE) or found.code[element] == _NOSCRIPT
        ]
        if not candidates:
            return set()
        spans, letters = found.spans, found.letters
        seen, scriptless, until = int(letters[found.parent == -1].sum()), 0, 0
        for element in candidates:
            if spans[element, 0] >= until:
                until, seen = int(spans[element, 3]), seen - int(letters[element])
                scriptless += int(letters[element]) if found.code[element] == _NOSCRIPT else 0
        is_for_scripts = seen > _MOST_SEEN or scriptless < max(_LEAST_HELD, _TIMES * seen)
        dropped: set[int] = set()
        until = 0
        for element in candidates:
            begin, inner, _, after = spans[element].tolist()
            if begin < until:
                continue
            if found.code[element] == _NOSCRIPT:
                is_shown = not is_for_scripts and letters[element] > 0
            elif letters[element] >= _MUCH and letters[element] > seen:
                is_shown = True
            else:
                is_shown = _OPENED.search(self.names(element)) is not None or source.startswith(b"<math", inner)
            if is_shown:
                self._show(element)
            else:
                dropped.add(element)
                until = after
        return dropped

    def _show(self, element: int) -> None:
        """Remove the attributes that hide an element, as other extractors respect them too."""
        begin, inner, end, after = self.found.spans[element].tolist()
        if self.found.code[element] == _NOSCRIPT:
            self.edits += ((begin, inner, b"<div>"), (end, after, b"</div>"))
        else:
            self.edits.append((begin, inner, _HIDES.sub(b"", self.source[begin:inner])))

    def _script(self, begin: int, inner: int, end: int, after: int) -> None:
        said = _ENCODED.search(self.source, begin, inner)
        if said is None:
            self.drop(begin, after, unneeded=True)
            return
        text = self.source[inner:end].decode("utf-8", "replace")
        text = formula(text) if said[1].lower() == b"mml" else tex(text)
        self._formula(begin, after, text, display=b"display" in said[2].lower())

    def _formula(self, begin: int, after: int, text: str, *, display: bool) -> None:
        new = html.escape(text, quote=False).encode("utf-8", "replace")
        self.edits.append((begin, after, b"<br>" + new + b"<br>" if display and new else new))

    def _math(self, begin: int, inner: int, after: int) -> None:
        if not self.is_new(_MATH, begin, after):
            return
        text = formula(self.source[begin:after].decode("utf-8", "replace"))
        self._formula(begin, after, text, display=b'display="block"' in self.source[begin:inner])

    def _picture(self, begin: int, after: int) -> None:
        """Replace the picture of a formula by its text, unless the formula itself comes right before it."""
        said = _ALT.search(self.source, begin, after)
        if said is None or not _OF_FORMULA.search(self.source, begin, after):
            return
        if self.source.endswith((b"</math></span>", b"</math>"), 0, begin):
            return
        self._formula(begin, after, tex(html.unescape(said[1].decode("utf-8", "replace"))), display=False)

    def _typeset_twice(self) -> None:
        """Leave out what scripts made from a formula, if the source of the formula is next to it."""
        if not (self.scripts or self.math):
            return
        places = []
        if self.scripts:
            places = [match.start() for match in _TYPESET.finditer(self.source)]
        place = 0
        while (place := self.source.find(b'</math></span><span class="katex-html"', place)) >= 0:
            places.append(place + len(b"</math></span>"))
            place += 1
        for place in places:
            element = self.first_from(place)
            if element < len(self.begins) and self.begins[element] == place:
                self.drop(place, int(self.found.spans[element, 3]))

    def _mathjax_3(self) -> None:
        """Keep only the MathML of a MathJax 3 formula, as part of its line: MathJax's own elements would be blocks."""
        if not self.math:
            return
        until = 0
        for match in _MATHJAX_3.finditer(self.source):
            element = self.first_from(match.start())
            if match.start() < until or element == len(self.begins) or self.begins[element] != match.start():
                continue
            begin, inner, end, until = self.found.spans[element].tolist()
            parts = [(part[1], self.first_from(part.start())) for part in _PARTS.finditer(self.source, inner, end)]
            if not any(name == b"assistive-mml" for name, _ in parts):
                continue
            self.edits += ((begin, inner, b""), (end, until, b""))
            for name, part in parts:
                first, second, third, fourth = self.found.spans[part].tolist()
                if name == b"math":
                    self.drop(first, fourth)
                else:
                    self.edits += ((first, second, b""), (third, fourth, b""))

    def _drawing(self, element: int) -> None:
        """Keep only the HTML inside a drawing (SVG)."""
        found = self.found
        begin, _, _, after = found.spans[element].tolist()
        if not self.is_new(_SVG, begin, after):
            return
        last = self.first_from(after)
        place, until = begin, 0
        for other in range(element + 1, last):
            if found.code[other] == _FOREIGN and found.spans[other, 0] >= until and found.letters[other]:
                _, inner, end, until = found.spans[other].tolist()
                self.edits.append((place, inner, b"<div>" if place == begin else b"</div><div>"))
                place = end
        self.edits.append((place, after, b"" if place == begin else b"</div>"))
        self.unneeded += place == begin

    def _as_written(self, begin: int, inner: int, end: int, after: int) -> None:
        if self.source.startswith(b"<listing", begin):
            self.edits += ((begin, inner, b"<pre>"), (end, after, b"</pre>"))
            return
        text = self.source[inner:end].replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
        self.edits.append((begin, after, b"<pre>" + text + b"</pre>"))

    def _template(self, begin: int, inner: int, end: int, after: int) -> None:
        if b" shadowrootmode=" in self.source[begin:inner]:
            self.edits += ((begin, inner, b"<div>"), (end, after, b"</div>"))
        else:
            self.drop(begin, after, unneeded=True)

    def _raised(self, element: int, *, low: bool) -> None:
        begin, inner, end, after = self.found.spans[element].tolist()
        if end - inner > 1000 or not 0 < self.found.letters[element] <= LONGEST:
            return
        content = self.source[inner:end]
        text = html.unescape(ANY_TAG.sub(b"", content).decode("utf-8", "replace"))
        before = self._text_before(begin)
        if b"<su" in content or b"<math" in content:
            if before[-1:].isalnum():
                self.edits += ((inner, inner, b"_(" if low else b"^("), (end, end, b")"))
            return
        new = raised(text, before, low=low)
        if new != text:  # without the tags, as resiliparse drops an element with only one character
            self.edits.append((begin, after, html.escape(new, quote=False).encode()))

    def _text_before(self, place: int) -> str:
        """Return the end of the text before a place, in the same line."""
        text = self.source[max(0, place - 300) : place]
        while text.endswith(b">") and (found := _INLINE_TAG.search(text)):
            text = text[: found.start()]
        return html.unescape(text[-40:].decode("utf-8", "replace"))

    def _ruby(self, element: int) -> None:
        """Write readings (ruby) in parentheses, unless the page has its own parentheses."""
        found = self.found
        begin, inner, end, after = found.spans[element].tolist()
        if not self.is_new(_RUBY, begin, after):
            return
        self.edits += ((begin, inner, b""), (end, after, b""))
        last = self.first_from(after)
        parts = [other for other in range(element + 1, last) if found.code[other] in _READING]
        own = any(found.code[other] == _RP for other in parts)
        for other in parts:
            begin, inner, end, after = found.spans[other].tolist()
            is_reading = not own and found.code[other] == _RT and found.letters[other] > 0
            self.edits += ((begin, inner, b"(" if is_reading else b""), (end, after, b")" if is_reading else b""))
