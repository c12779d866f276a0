"""tasks/training/preferences/told.py: docstrings that are commands become sentences about what is asked."""

from __future__ import annotations

import pytest

from tasks.training.preferences.told import told


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return the current time.", "It returns the current time."),
        ("Search for `pattern` in a text.", "It searches for `pattern` in a text."),
        ("Copy a file. Read it first.", "It copies a file. Read it first."),
        ("Display the page.", None),
        ("Returns the current time.", None),
        ("Return", None),
        ("Set Cookie objects aside.", None),
        ("Pop an item.", "It pops an item."),
        ("Compress and Match are words.", None),
    ],
)
def test_a_command_becomes_a_sentence(docstring: str, sentence: str | None) -> None:
    assert told(docstring) == sentence
