"""One record of a source file, or the reason why it could not be read."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple


class Record(NamedTuple):
    """One record of a file, or, with a `problem`, the reason why it is missing. Fields as in schemas.RECORDS.

    A named tuple and not a dataclass: each row that is read becomes one, and a frozen dataclass takes three times as
    long to create.
    """

    content: bytes = b""
    mime: str = "text/plain"
    record_id: str = ""
    url: str | None = None
    title: str | None = None
    charset: str | None = None
    fetched_at: datetime.datetime | None = None
    problem: str | None = None
    detail: str | None = None
    n_bytes: int = 0
    headers: tuple[tuple[str, str], ...] = ()  # its response's headers that may mention training, names in lower case
    rights: dict[str, Any] | None = None  # what is said about training on it


def date_of(value: Any) -> datetime.datetime | None:
    """Return a timestamp or an ISO 8601 text as a datetime with a zone (UTC if none is given), else None."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime.datetime):
        try:
            return value.astimezone(datetime.UTC) if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        except OverflowError:  # the first or the last day of the calendar
            return None
    return None


def why(error: BaseException) -> str:
    """A short description of an error, for the `detail` of a record."""
    return f"{type(error).__name__}: {error}"[:200]
