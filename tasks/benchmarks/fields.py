"""Typed access to the fields of a row: each returns the value or says what is wrong with it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from tasks.benchmarks.base import BadRow, Row
from tasks.stage.json_kinds import kind_of

_MAX_LITERAL = 100_000  # characters of a list written as text; longer ones could overflow the parser's stack


def text(row: Row, *names: str, empty: bool = False) -> str:
    """Return the text of the first of these fields that the row has; `empty`: it may be blank."""
    name, value = field(row, *names)
    if not isinstance(value, str):
        raise BadRow(f"{name} is {kind_of(value)}, not a text")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadRow(f"{name} has bytes that are not UTF-8, or half a surrogate pair")
    if not empty and not value.strip():
        raise BadRow(f"{name} is empty")
    return value


def texts(row: Row, *names: str) -> tuple[str, ...]:
    """Return a list of texts, also one written as text in a csv column; none of them may be blank."""
    name, value = field(row, *names)
    value = listed(value)
    if not isinstance(value, list) or not value:
        raise BadRow(f"{name} is {kind_of(value)}, not a list of texts")
    return tuple(text({name: one}, name) for one in value)


def listed(value: Any) -> Any:
    """Return a list for a list written as text (`['a', 'b']`), all else unchanged."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "(") and len(value) <= _MAX_LITERAL:
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return list(value) if isinstance(value, tuple) else value


def place(row: Row, names: Sequence[str], count: int, *, first: int = 0) -> int:
    """Return the place of the right choice among `count`; in the file the first is called `first`."""
    name, value = field(row, *names)
    number = whole(value, name) - first
    if not 0 <= number < count:
        raise BadRow(f"{name} is {value}, but there are {count} choices ({first} to {first + count - 1})")
    return number


def whole(value: Any, name: str) -> int:
    """Return a whole number; also one written as text, and true and false as 1 and 0."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return int(value.strip().lower() == "true")
    if isinstance(value, str) and value.strip().removeprefix("-").isdecimal():
        return int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if (isinstance(value, str) and not value.strip()) or value is None:
        raise BadRow(f"{name} is empty: the row has no answer, as in a test set published without labels")
    if not isinstance(value, int):
        raise BadRow(f"{name} is {_shown(value)}, not a whole number")
    return value


def named(row: Row, names: Sequence[str], labels: Sequence[str]) -> int:
    """Return the place of a label: its number, or its name among `labels` (an official file has either)."""
    name, value = field(row, *names)
    if isinstance(value, str) and value.strip() in labels:
        return labels.index(value.strip())
    if isinstance(value, str) and value.strip() and not value.strip().removeprefix("-").isdecimal():
        raise BadRow(f"{name} is {_shown(value)}, not one of {', '.join(labels)}")
    return place({name: value}, (name,), len(labels))


def _shown(value: Any) -> str:
    """Return a value as a reason names it: a text in quotes, cut if it is long, and of all else the kind."""
    if not isinstance(value, str):
        return kind_of(value)
    return repr(value if len(value) <= 40 else f"{value[:40]}…")


def field(row: Row, *names: str) -> tuple[str, Any]:
    """Return the name and value of the first of these fields that the row has."""
    for name in names:
        if name in row:
            return name, row[name]
    have = ", ".join(map(str, list(row)[:12])) or "none"
    raise BadRow(f"it has no field {' or '.join(names)}; its fields are {have}")
