"""Regular expressions in recipes: checked when the recipe is read."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

SHAPES_NO_RESULT = "refuses patterns that are none; all others are in the key"


def _check(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}{_way_out(pattern, error)}") from error
    return pattern


def _way_out(pattern: str, error: re.error) -> str:
    """Return what the user probably meant by the pattern."""
    if pattern.startswith("*"):
        return f"; for any text write .* where file names have *: {re.escape(pattern).replace(chr(92) + '*', '.*')}"
    if error.pos is not None and error.pos < len(pattern) and (character := pattern[error.pos]) in "[](){}?*+|":
        return f"; a literal {character} is written \\{character}"
    return ""


Regex = Annotated[str, AfterValidator(_check)]
"""A string that Python's `re` can compile."""
