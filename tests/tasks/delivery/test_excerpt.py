"""tasks/delivery/excerpt.py: which lines of a text that is too long a model reads beside a question."""

from __future__ import annotations

import pytest

from tasks.delivery.excerpt import excerpt

PAGE = """\
Help on module textwrap:

textwrap - wraps and fills text; see dedent and indent

    dedent(text)
        Remove any common leading whitespace.

        Blank lines are normalized.

    fill(text, width=70)
        Fill a paragraph, after dedent.
"""

DEDENT = "dedent(text)\n    Remove any common leading whitespace.\n\n    Blank lines are normalized."


def test_the_entry_of_the_name_that_is_asked_for_without_its_indent() -> None:
    for question in ("What does textwrap.dedent do?", "Explain `textwrap.dedent`.", "What is DEDENT for?"):
        assert excerpt(PAGE, question, lambda _: True) == DEDENT
    assert excerpt(PAGE, "How do I call textwrap.fill?", lambda _: True) == (
        "fill(text, width=70)\n    Fill a paragraph, after dedent."
    )


def test_it_goes_on_while_there_is_room() -> None:
    assert excerpt(PAGE, "textwrap.dedent", lambda text: len(text) < 60) == DEDENT.split("\n\n")[0]
    flat = "The sea.\nA mill grinds corn.\nIt has sails.\nThe end."
    assert excerpt(flat, "What does a mill grind?", lambda text: len(text) < 40) == "A mill grinds corn.\nIt has sails."


@pytest.mark.parametrize("question", ["Why?", "os.path", "?"])
def test_no_line_fits(question: str) -> None:
    assert excerpt(PAGE, question, lambda _: True) is None
