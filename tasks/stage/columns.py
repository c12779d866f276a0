"""Columns of the user's tables, and the labels in them, as recipes name them: both may be numbers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

SHAPES_NO_RESULT = "reads 2 as '2', which is in the key"


def _name(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Column = Annotated[str, BeforeValidator(_name)]
"""A name, or the number of a column of a file without names: the string of its digits, as YAML takes 2 for a number."""

Label = Column
"""The name of a label, which may be a number, too: 0 and 1 are usual."""
