"""Columns of the user's tables in recipes: a name, or the number of a column of a file without names."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

SHAPES_NO_RESULT = "reads 2 as '2', which is in the key"


def _name(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Column = Annotated[str, BeforeValidator(_name)]
"""A string; a number, which is what YAML takes 2 for, is the string of its digits."""
