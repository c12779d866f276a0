"""The documentation holds together: links, anchors and pictures exist, and the contents list every page.

The pages are parsed here, so that `make test` needs no generator; `make docs` builds them with one.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
INDEX = DOCS / "index.md"


@dataclass(frozen=True)
class Page:
    """What a page refers to, and what can be referred to in it."""

    links: list[str]
    pictures: list[str]
    anchors: set[str]
    text: str

    @classmethod
    def read(cls, path: Path) -> Page:
        text = path.read_text("utf-8")
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        inline = [child for token in tokens for child in token.children or ()]
        return cls(
            [str(token.attrs["href"]) for token in inline if token.type == "link_open"],
            [str(token.attrs["src"]) for token in inline if token.type == "image"],
            set(_anchors(tokens)),
            text,
        )


def _anchors(tokens: list[Token]) -> Iterator[str]:
    """The anchors that code hosts and myst-parser give to headings."""
    seen: Counter[str] = Counter()
    for opening, heading in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            said = "".join(child.content for child in heading.children or ())
            slug = re.sub(r"[^\w\- ]", "", said.lower()).replace(" ", "-")
            yield f"{slug}-{seen[slug]}" if seen[slug] else slug
            seen[slug] += 1


def faults(path: Path) -> Iterator[str]:
    """What is wrong with the links and pictures of a page."""
    page = Page.read(path)
    for link in page.links + page.pictures:
        address = urlsplit(link)
        if address.scheme or address.netloc:
            if link in page.pictures:
                yield f"{path.name} shows {link}, for which a reader needs a network."
            continue
        target = path.parent / unquote(address.path) if address.path else path
        if not target.exists():
            yield f"{path.name} refers to {link}, but {target} does not exist."
        elif address.fragment and address.fragment not in Page.read(target).anchors:
            yield f"{path.name} refers to {link}, but {target.name} has no heading with that anchor."


@pytest.mark.parametrize("path", [README, *PAGES], ids=lambda path: path.name)
def test_links_anchors_and_pictures_exist(path: Path) -> None:
    assert list(faults(path)) == []


def test_what_is_wrong_with_a_page_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A `title`: it's\n\n## Twice\n\n## Twice\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[fine](there.md#a-title-its) [fine](there.md#twice-1) [fine](#here) [fine](https://example.org/x)\n"
        "[no file](gone.md) [no anchor](there.md#thrice) ![no picture](gone.png) ![remote](https://example.org/x.png)\n"
        "\n# Here\n\n`[code](gone.md)`\n\n    [code](gone.md)\n\n| table |\n|---|\n| [no file](lost.md) |\n",
        "utf-8",
    )
    found = " ".join(faults(page))
    assert len(list(faults(page))) == 5
    assert all(name in found for name in ("gone.md", "#thrice", "gone.png", "example.org/x.png", "lost.md"))


def test_the_contents_and_the_readme_list_every_page() -> None:
    pages = {path.stem for path in PAGES if path != INDEX}
    contents = re.findall(r"^```\{toctree\}\n(.*?)^```", INDEX.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    listed = [line for part in contents for line in part.splitlines() if line and not line.startswith(":")]
    assert sorted(listed) == sorted(pages)
    linked = {urlsplit(link).path for link in Page.read(README).links}
    assert {f"docs/{page}.md" for page in pages} <= linked


def test_every_picture_is_shown_somewhere() -> None:
    shown = {(path.parent / picture).resolve() for path in (README, *PAGES) for picture in Page.read(path).pictures}
    assert {path for path in DOCS.rglob("*") if path.suffix in (".png", ".svg")} == shown


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 250
