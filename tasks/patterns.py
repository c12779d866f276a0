"""Regular expressions in recipes: checked when the recipe is read."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator


def _check(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Regex = Annotated[str, AfterValidator(_check)]
"""A string that Python's `re` can compile."""
