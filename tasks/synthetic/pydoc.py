"""Entries of Python's documentation pages: each function, method and class with its signature and what it does.

The input is the plain text that the clean stage made from pydoc's HTML. An entry is an unindented line
`name(arguments)` with its docstring indented below; `class Name(bases)` opens a class, `Functions` closes it. Text of
other kinds has no entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_SIGNATURE = re.compile(r"(?:[A-Za-z_]\w* = )?([A-Za-z_]\w*)\((.*)\)(?: -> [^()]*)?(?: from [\w.]+)?")
_CLASS = re.compile(r"class ([A-Za-z_]\w*)(?:\(.*\))?")
_SECTION = re.compile(
    r"(?:Modules|Classes|Functions|Data|Author|Credits|Package Contents"
    r"|(?:Class |Static )?[Mm]ethods (?:defined here|inherited from .*):"
    r"|(?:Data descriptors|Readonly properties|Data and other attributes) (?:defined here|inherited from .*):"
    r"|Method resolution order:)"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`'\"(])")
_MODULE_TITLE = re.compile(r"(?:module|package) ([A-Za-z_][\w.]*)")


@dataclass(frozen=True)
class Entry:
    """One documented name of a page."""

    module: str
    name: str
    arguments: str
    kind: str
    paragraphs: tuple[str, ...]

    @property
    def qualified(self) -> str:
        """The name with its module, as in a program: `textwrap.dedent`."""
        return f"{self.module}.{self.name}"

    @property
    def signature(self) -> str:
        """Name and arguments as on the page: `textwrap.dedent(text)`."""
        return f"{self.qualified}({self.arguments})"

    def summary(self, limit: int) -> str:
        """The first sentences of the docstring that fit into `limit` characters; empty if not even one does."""
        return fitting_sentences(self.paragraphs[0], limit)


def module_of(url: str | None, title: str | None) -> str | None:
    """Return the module of a page, found by its title (`Python: module textwrap`) or address (`…/textwrap.html`)."""
    if title and (found := _MODULE_TITLE.search(title)):
        return None if found.group(1) == "None" else found.group(1)  # pydoc's title for a builtin's own page
    name = unquote(urlsplit(url or "").path).rsplit("/", 1)[-1]
    return name[: -len(".html")] if name.endswith(".html") and name != "index.html" else None


def entries(text: str, module: str) -> Iterator[Entry]:
    """Yield the entries of a page in order; inherited methods, which other pages document, are left out."""
    lines = [line.replace("\xa0", " ").rstrip() for line in text.split("\n")]
    owner, skip = "", False
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if line == "Functions":
            owner, skip = "", False
        elif opened := _CLASS.fullmatch(line):
            owner, skip = opened.group(1), False
        elif _SECTION.fullmatch(line):
            skip = "inherited" in line or line == "Classes"  # the class tree has lines like `Name(base)`
        elif not skip and (found := _signature(line)):
            name, arguments = found
            repeated = number < len(lines) and (_signature(lines[number].strip()) or ("",))[0] == name
            number += repeated  # C functions repeat their signature as the docstring's first line
            if (repeated or name == owner) and number < len(lines):
                number += not lines[number].strip()
            paragraphs, number = _docstring(lines, number)
            if paragraphs:
                kind = "class" if name == owner else "method" if owner else "function"
                qualified = name if name == owner or not owner else f"{owner}.{name}"
                yield Entry(module, qualified, arguments, kind, paragraphs)


def fitting_sentences(paragraph: str, limit: int) -> str:
    """Return as many whole sentences from the start of `paragraph` as fit into `limit` characters."""
    chosen = ""
    for sentence in _SENTENCE_END.split(paragraph):
        longer = f"{chosen} {sentence}".strip()
        if len(longer) > limit:
            break
        chosen = longer
    return chosen


def _signature(line: str) -> tuple[str, str] | None:
    found = _SIGNATURE.fullmatch(line)
    if not found:
        return None
    name, arguments = found.groups()
    # in prose such as "dict() -> new empty dictionary (see above)", brackets do not pair up as in arguments
    depth = 0
    for character in arguments:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return None
    return None if depth else (name, arguments.removeprefix("self, ").removeprefix("self"))


def _docstring(lines: list[str], start: int) -> tuple[tuple[str, ...], int]:
    """Return the paragraphs of prose that begin at line `start`, and the line after them.

    pydoc indents what describes a name; if the clean stage left no indent, the next signature ends the docstring.
    """
    paragraphs: list[str] = []
    current: list[str] = []
    number = start
    indent = _indent(lines[start]) if start < len(lines) else 0
    while number < len(lines):
        line = lines[number]
        bare = line.strip()
        if bare and _indent(line) < indent:
            break
        if not indent and bare and (_signature(bare) or _CLASS.fullmatch(bare) or _SECTION.fullmatch(bare)):
            break
        if not bare:
            if not current:
                break
            paragraphs.append(_prose(current))
            current = []
        else:
            current.append(line[indent:])
        number += 1
    if current:
        paragraphs.append(_prose(current))
    return tuple(paragraph for paragraph in paragraphs if paragraph), number


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _prose(lines: list[str]) -> str:
    """Join the lines of a paragraph; an indented one or one with a prompt is code or a table, so it becomes empty."""
    if any(line.startswith(("  ", ">>>")) for line in lines):
        return ""
    return " ".join(line.strip() for line in lines)
