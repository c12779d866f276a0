"""Parse a page: its title, what it declares, and the canonical source of its visible part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from resiliparse.parse.html import HTMLTree

from tasks.corpus.clean.html.blocks import canonical
from tasks.corpus.clean.html.metadata import Declared, declared
from tasks.corpus.clean.html.source import Source, seen_of
from tasks.corpus.clean.html.tokens import find
from tasks.corpus.clean.html.visible import Visible, visible

_FRAMES = re.compile(rb"</head>\s*<frameset")  # a frameset replaces the body
_NO_FRAMES = re.compile(rb"<noframes(?: [^<>]*)?>(.*?)</noframes>", re.S)


@dataclass(frozen=True)
class Parsed:
    """A page after parsing."""

    title: str
    declared: Declared
    seen: Visible
    tree: HTMLTree  # the parser's tree, including what is not visible


def parse(page: Source, skip_elements: Sequence[str] = ()) -> Parsed:
    """Parse a page without the elements that match the CSS selectors in `skip_elements`."""
    tree = HTMLTree.parse(page.seen)
    for selector in skip_elements:
        for element in tree.document.query_selector_all(selector) if tree.document else ():
            element.decompose()
    whole = canonical(tree)
    title = " ".join((tree.title or "").split())
    said = declared(whole, page.linked)
    if find(whole, b"<frameset") >= 0 and _FRAMES.search(whole):  # the content of <noframes> is all the text it has
        frames = b" ".join(_NO_FRAMES.findall(whole)).decode("utf-8", "replace")
        tree = HTMLTree.parse(seen_of(frames).seen)
        whole = canonical(tree)
    return Parsed(title, said, visible(whole), tree)
