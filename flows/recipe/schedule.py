"""A recipe's schedule: a cron expression, its time zone, and the maximum age of sources when it fires."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from flows.recipe.errors import nearest
from tasks.stage.config import StageConfig

MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
CRON_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),
)


class Schedule(StageConfig):
    """When a recipe runs automatically."""

    cron: str = Field(
        "0 3 * * *", description="minute, hour, day of month, month, day of week; '0 3 * * *' = 03:00 daily"
    )
    timezone: str = Field("UTC", description="time zone of cron: an IANA name such as Europe/Berlin")
    max_age: float = Field(
        3600,
        ge=0,
        allow_inf_nan=False,
        description="seconds; a scheduled run fetches sources again if they are older than this",
    )

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        parts = cron.split()
        if len(parts) != len(CRON_FIELDS):
            raise ValueError(
                f"a cron expression has five fields (minute hour day month weekday), this has {len(parts)}"
            )
        for part, (name, low, high, names) in zip(parts, CRON_FIELDS, strict=True):
            for item in part.split(","):
                _check_cron_item(item, name, low, high, names)
        return " ".join(parts)

    @field_validator("timezone")
    @classmethod
    def _is_timezone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ValueError, OSError, KeyError):
            near = nearest(timezone, available_timezones())
            raise ValueError(
                "there is no time zone of this name" + (f"; the nearest is {near}" if near else "")
            ) from None
        return timezone


def _check_cron_item(item: str, name: str, low: int, high: int, names: dict[str, int]) -> None:
    """Raise ValueError unless `item` is *, N, N-M, with or without /step, within the field's limits."""
    word = r"[0-9]{1,2}|[A-Za-z]{3}"
    match = re.fullmatch(rf"(?:\*|(?P<first>{word})(?:-(?P<last>{word}))?)(?:/(?P<step>[0-9]{{1,2}}))?", item)
    numbers = [] if match is None else [names.get(w.lower(), w) for w in match.group("first", "last") if w]
    if match is None or not all(str(number).isdecimal() for number in numbers):
        raise ValueError(f"{item!r} is no {name} of a cron expression")
    values = [int(number) for number in numbers]
    if any(not low <= value <= high for value in values) or values != sorted(values):
        raise ValueError(f"{item!r} is not a {name} of a cron expression, which is between {low} and {high}")
    if match["step"] is not None and int(match["step"]) == 0:
        raise ValueError(f"{item!r} has a step of 0, so it would never fire")
