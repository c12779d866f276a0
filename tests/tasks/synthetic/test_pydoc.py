"""synthetic/pydoc.py: signatures, docstrings and classes are found; code, tables and inherited methods are not."""

from __future__ import annotations

import pytest

from tasks.synthetic.pydoc import Entry, entries, fitting_sentences, module_of

PAGE = """textwrap\tindex

Text wrapping and filling.

Classes
builtins.object
TextWrapper(builtins.object)

class TextWrapper(builtins.object)
TextWrapper(width=70, *, placeholder=' [...]')

Object for wrapping text.  The public interface
is wrap() and fill().

Methods defined here:
__init__(self, width=70)
    Initialize self.  See help(type(self)) for accurate signature.
fill(self, text)
    fill(text : string) -> string

    Reformat the single paragraph in 'text' to fit in lines of no
    more than 'self.width' columns.

        >>> fill("a")
Methods inherited from builtins.object:
__repr__(self, /)
    Return repr(self).

Functions
dedent(text)
    Remove any common leading whitespace.

    Entirely blank lines are normalized.
indent = indent_lines(text, prefix, predicate=None)
    Adds 'prefix' to the beginning of lines.

Data
__all__ = ['TextWrapper']
"""


def test_a_page_of_pydoc() -> None:
    found = {entry.qualified: entry for entry in entries(PAGE, "textwrap")}
    assert list(found) == [
        "textwrap.TextWrapper",
        "textwrap.TextWrapper.__init__",
        "textwrap.TextWrapper.fill",
        "textwrap.dedent",
        "textwrap.indent_lines",
    ]
    wrapper = found["textwrap.TextWrapper"]
    assert (wrapper.kind, wrapper.arguments) == ("class", "width=70, *, placeholder=' [...]'")
    assert wrapper.paragraphs == ("Object for wrapping text.  The public interface is wrap() and fill().",)
    fill = found["textwrap.TextWrapper.fill"]
    assert (fill.kind, fill.signature) == ("method", "textwrap.TextWrapper.fill(text)")
    assert fill.paragraphs == (
        "Reformat the single paragraph in 'text' to fit in lines of no more than 'self.width' columns.",
    )
    dedent = found["textwrap.dedent"]
    assert (dedent.kind, dedent.module) == ("function", "textwrap")
    assert dedent.paragraphs == ("Remove any common leading whitespace.", "Entirely blank lines are normalized.")


def test_pages_without_indent_are_read_too() -> None:
    flat = "\n".join(line.strip() for line in PAGE.splitlines())
    assert [entry.qualified for entry in entries(flat, "textwrap")] == [
        entry.qualified for entry in entries(PAGE, "textwrap")
    ]


def test_prose_is_no_page() -> None:
    assert list(entries("A story (of sorts).\n\nIt ends well (for some).", "x")) == []


@pytest.mark.parametrize(
    ("url", "title", "module"),
    [
        ("http://h/textwrap.html", "Pydoc: module textwrap", "textwrap"),
        ("http://h/x.html", "Python: package xml.dom", "xml.dom"),
        ("http://h/email.mime.text.html", None, "email.mime.text"),
        ("http://h/float.html", "module None", None),
        ("http://h/index.html", "Index of Modules", None),
        (None, None, None),
    ],
)
def test_the_module_of_a_page(url: str | None, title: str | None, module: str | None) -> None:
    assert module_of(url, title) == module


def test_summaries_are_whole_sentences() -> None:
    text = "Return x. See `y` for more, e.g. this. Nothing else."
    assert fitting_sentences(text, 1000) == text
    assert fitting_sentences(text, 40) == "Return x. See `y` for more, e.g. this."
    assert fitting_sentences(text, 5) == ""
    assert Entry("m", "f", "", "function", (text,)).summary(12) == "Return x."
