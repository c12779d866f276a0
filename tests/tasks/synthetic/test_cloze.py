"""tasks/synthetic/cloze.py: prose is cut between words near the middle; code, tables and short lines are left alone."""

from __future__ import annotations

import pytest

from tasks.synthetic.cloze import BEFORE, LONGEST, cut_line, cut_lines


def test_a_line_is_cut_near_its_middle() -> None:
    assert cut_line("    Return a list of all the lines in it, without ends.") == (
        "    Return a list of all",
        "the lines in it, without ends.",
    )


@pytest.mark.parametrize(
    "line", ["", "Too short a line.", "dedent(text, x=1) -> str = None, y=2, **z", "| 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |"]
)
def test_what_is_no_prose_is_left_alone(line: str) -> None:
    assert cut_line(line) is None


def test_long_lines_end_after_whole_words() -> None:
    cut = cut_line("word " * 200)
    assert cut is not None
    assert len(cut[1]) <= LONGEST
    assert set(cut[1].split()) == {"word"}


def test_the_context_is_whole_lines_before_the_cut() -> None:
    text = "\n\n".join(f"This is line number {n} of the text, and it goes on." for n in "abcdefgh")
    contexts = [context for context, _ in cut_lines(text)]
    assert len(contexts) == 8
    assert contexts[0] == "This is line number a of"
    assert all(len(context) <= BEFORE + 1 for context in contexts)
    assert contexts[5].splitlines()[0].startswith("This is line number")
