"""HTML to text: the main content, with the line structure of lists, tables, definitions and code kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.html.metadata import Declared, Metadata, metadata

if TYPE_CHECKING:
    from tasks.corpus.clean.html.blocks import Blocks
    from tasks.corpus.clean.html.model import Judgement
    from tasks.corpus.clean.html.parse import Parsed

# While text is extracted, a special letter marks the indentation level of the text after it. It must be a letter,
# because resiliparse drops lone characters that are not letters. These letters are from Linear A, an undeciphered
# script, so no text needs them.
_LEVEL_0, _MAX_LEVEL = 0x10600, 8  # deeper definitions are not indented further
_MARKS = [chr(_LEVEL_0 + level) for level in range(_MAX_LEVEL + 1)]
_MARK = re.compile(f"[{_MARKS[0]}-{_MARKS[-1]}]")
_LEADING_MARKS = re.compile(f"[{_MARKS[0]}-{_MARKS[-1]} ]*")
# For canonical source, in which tag names are lower case, and < and > occur only in tags.
_DEFINITION_TAG = re.compile(r"<(/?)(d[ltd])( [^<>]*)?>")
_EMPTY_CELL = re.compile(r"<t([dh])(?: [^<>]*)?>(?:\s|&nbsp;|</?span(?: [^<>]*)?>|<br>)*+</t\1>")
# `auto` asks trafilatura about pages that are not articles if the model expects an F1 below this. On mixed pages (two
# cross-validations by domain) this value gains .006 of F1, .55 gains .007, .6 gains .004, and from .65 on the
# model's own text is better.
ASK_OTHERS_BELOW = 0.5
MOST_ATTRIBUTES = 5_000  # per tag: resiliparse compares each with all others, and takes 27 s for 100,000


class NotExtractable(Exception):
    """Raised for a page whose extraction would take too long; `reason` and `value` say why."""

    def __init__(self, reason: str, value: float, threshold: float) -> None:
        super().__init__(reason)
        self.reason, self.value, self.threshold = reason, value, threshold


@dataclass(frozen=True)
class Extracted:
    """The content extracted from an HTML page."""

    title: str
    text: str
    about: Metadata


def html_to_text(html: str, config: CleanConfig, url: str | None = None, *, xml: bool = False) -> Extracted:
    """Extract an HTML page that was fetched from `url`, as XHTML if `xml` is set; raises NotExtractable.

    `fast` is resiliparse (Bevendorff et al. 2018), the extractor of DCLM (Li et al. 2024, arXiv:2406.11794); `quality`
    is trafilatura; `auto` classifies the blocks of the page, and asks trafilatura if the result is uncertain.
    """
    from tasks.corpus.clean.html.parse import parse
    from tasks.corpus.clean.html.source import seen_of
    from tasks.corpus.clean.html.title import title_of
    from tasks.corpus.clean.html.xhtml import as_html, is_declared

    page = seen_of(as_html(html) if xml or is_declared(html) else html)
    if page.depth > config.max_nesting:
        raise NotExtractable("nested_too_deep", page.depth, config.max_nesting)
    if page.attributes > MOST_ATTRIBUTES:
        raise NotExtractable("huge_tag", page.attributes, MOST_ATTRIBUTES)
    parsed = parse(page, config.skip_elements)
    if config.extraction in ("fast", "all_text"):
        text = _by_resiliparse(parsed, config)
    else:
        text = _main_text(parsed.seen.source, parsed.declared, config)
    said = parsed.declared
    title = title_of(parsed.title, said, url)
    return Extracted(title.text, text, metadata(said, url, title.heading))


def _main_text(source: bytes, page: Declared, config: CleanConfig) -> str:
    from tasks.corpus.clean.html.blocks import blocks_of
    from tasks.corpus.clean.html.model import judge
    from tasks.corpus.clean.html.render import render

    blocks = blocks_of(source)
    judgement = judge(blocks, page)
    text = _asked(source, blocks, judgement, config)
    return render(blocks, judgement.keep, config.definition_indent) if text is None else text


def _asked(source: bytes, blocks: Blocks, judgement: Judgement, config: CleanConfig) -> str | None:
    """Return trafilatura's text if it is asked and its answer is good enough, else None."""
    from tasks.corpus.clean.html import trafilatura
    from tasks.corpus.clean.html.likely import is_fraction, likely_part

    def answer(part: bytes, *, fast: bool) -> str | None:
        text = trafilatura.extract(part.decode(), fast=fast)
        return None if text is None or is_fraction(text, blocks, judgement.scores) else text

    if config.extraction == "quality":
        return answer(source, fast=False)
    doubted = config.ask_below if judgement.article else min(config.ask_below, ASK_OTHERS_BELOW)
    if judgement.confidence >= doubted:
        return None
    part = likely_part(source, blocks, judgement.scores)
    if judgement.article and (text := answer(part, fast=True)) is not None:  # most articles need no fallback extractor
        return text
    return answer(part, fast=False)


def _by_resiliparse(page: Parsed, config: CleanConfig) -> str:
    """Extract with resiliparse, with two improvements to the line structure, which training text is read by.

    Descriptions in definition lists are indented below their term, and empty cells of layout tables leave no trace.
    """
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    from tasks.corpus.clean.html.tokens import find

    html = seen = page.seen.source.decode()
    if any(mark in html for mark in _MARKS):  # almost free; searching for a range costs 8 %
        html = _MARK.sub("", html)
    if find(page.seen.source, b"<td") >= 0 or find(page.seen.source, b"<th") >= 0:
        html = _EMPTY_CELL.sub("", html)
    if config.definition_indent and "<dl" in html:
        html = _mark_definitions(html)
    # marks go into the source because visiting nodes from Python is quadratic in resiliparse 2.0 (22 s for 200 pages)
    main_content = config.extraction == "fast"
    is_same = page.seen.same_main_content if main_content else page.seen.same_text
    tree = page.tree if is_same and html == seen else HTMLTree.parse(html)
    text = extract_plain_text(tree, main_content=main_content, alt_texts=False, comments=False)
    return _set_in(text, config.definition_indent)


def _mark_definitions(html: str) -> str:
    """Insert a mark for the indentation level wherever it changes: at terms, and around descriptions (dd)."""
    described: list[bool] = []  # for each open list, whether a description is open; its end tag may be missing

    def mark(tag: re.Match[str]) -> str:
        closing, name = bool(tag[1]), tag[2]
        inner = bool(described) and described[-1]
        if name == "dl":
            if not closing:
                described.append(False)
                return tag[0]
            if described:
                described.pop()
            # text directly inside a list is dropped, so the mark for its end goes into the last description
            return _level(described) + tag[0] if inner else tag[0]
        if not described:
            return tag[0]
        described[-1] = name == "dd" and not closing
        return _level(described) + tag[0] if closing else tag[0] + _level(described)

    return _DEFINITION_TAG.sub(mark, html)


def _level(described: list[bool]) -> str:
    return chr(_LEVEL_0 + min(sum(described), _MAX_LEVEL))


def _set_in(text: str, blanks: int) -> str:
    """Replace the marks with indentation."""
    if not any(mark in text for mark in _MARKS):
        return text
    out: list[str] = []
    level = 0
    for line in text.split("\n"):
        if marks := _MARK.findall(line):
            leading = _LEADING_MARKS.match(line)
            assert leading is not None
            if first := _MARK.findall(leading[0]):
                level = ord(first[-1]) - _LEVEL_0
                line = line[leading.end() :]
            line = _MARK.sub("", line)
        if line.strip():
            out.append(" " * (blanks * level) + line)
        elif not marks:
            out.append("")
        if marks:
            level = ord(marks[-1]) - _LEVEL_0
    return "\n".join(out)
