"""What a JSON value is, in words for an error message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def kind_of(value: Any) -> str:
    """Describe a parsed JSON value so that it completes "… is": "the number 3", "a list", "an empty text", "null"."""
    if isinstance(value, bool):
        return f"the value {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "an empty text" if not value.strip() else "a text"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence):
        return "a list"
    return "null"
