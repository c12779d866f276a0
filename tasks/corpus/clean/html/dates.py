"""Convert dates on pages to ISO 8601: machine-readable dates, and dates written in the most common languages."""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Iterator

_ISO = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s?(?:Z|[+-]\d\d:?\d\d)?)?)?)?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")

# The months in English, German, French, Spanish, Italian, Portuguese and Dutch. A month may be cut off after three or
# more letters if the rest fits only one month ("jui" may be June or July, so it is not used).
_MONTHS = (
    "january januar janvier enero gennaio janeiro januari",
    "february februar février febrero febbraio fevereiro februari",
    "march märz mars marzo março maart maerz",
    "april avril abril aprile",
    "may mai mayo maggio maio mei",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august août agosto augustus",
    "september septembre septiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember décembre diciembre dicembre dezembro",
)


def _month_names() -> dict[str, int]:
    months: dict[str, set[int]] = {}
    for number, names in enumerate(_MONTHS, 1):
        for name in names.split():
            for length in range(3, len(name) + 1):
                months.setdefault(name[:length], set()).add(number)
    return {name: numbers.pop() for name, numbers in months.items() if len(numbers) == 1}


_MONTH = _month_names()
_NAME = r"(?P<month>[^\W\d_]{3,10})"
_DAY, _YEAR = r"(?P<day>\d{1,2})", r"(?P<year>(?:19|20)\d\d)"
_NUMBER, _END = r"(?P<month>\d{1,2})", r"(?![/.]?\d)"
_WRITTEN = [
    re.compile(pattern, re.I)
    for pattern in (
        rf"{_NAME}\.?\s{_DAY}(?:st|nd|rd|th)?(?:,|\.|\sde|\sof)?\s{_YEAR}{_END}",
        rf"(?<!\d){_DAY}(?:\.|st|nd|rd|th|er|º)?[\s-](?:de\s|of\s)?{_NAME}[.,]?[\s-](?:de\s|del\s)?{_YEAR}{_END}",
        rf"(?<!\d){_YEAR}\s?[/.年-]\s?{_NUMBER}\s?[/.月-]\s?{_DAY}{_END}",
        rf"(?<![\d/.]){_DAY}\.\s?{_NUMBER}\.\s?{_YEAR}{_END}",
        rf"(?<![\d/])(?P<one>\d{{1,2}})/(?P<other>\d{{1,2}})/{_YEAR}{_END}",
    )
]


LONGEST = 100  # characters of a text that is a date; it may have words such as "Published on" and a time


def iso_date(text: str) -> str | None:
    """Return a date as ISO 8601, as precise as it is given, or None if the text is not a date.

    It accepts ISO 8601 itself, compact dates (20191024), dates of e-mails (RFC 5322), and a text that contains one
    written date. 10/24/2012 is accepted, but 10/11/2012 is not: nobody can tell which number is the month.
    """
    text = text.strip()
    try:
        if found := _ISO.fullmatch(text):
            year, month, day = (int(part or 1) for part in found.groups())
            datetime.date(year, month, day)
            return re.sub(r"\s(?=[Z+-])", "", text).replace(" ", "T").replace(",", ".") if _plausible(year) else None
        if found := _COMPACT.fullmatch(text):
            day_found = datetime.date(*map(int, found.groups()))
            return day_found.isoformat() if _plausible(day_found.year) else None
        moment = email.utils.parsedate_to_datetime(text)
        return moment.isoformat() if _plausible(moment.year) else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return next(written_dates(text), None) if len(text) <= LONGEST else None


def _plausible(year: int) -> bool:
    return 1900 <= year <= 2100  # databases write 0001-01-01 or 1000-01-01 for a missing date


def written_dates(text: str) -> Iterator[str]:
    """Yield the full dates that a text contains, as ISO 8601."""
    for pattern in _WRITTEN:
        for found in pattern.finditer(text):
            parts = found.groupdict()
            if "one" in parts:
                one, other = int(parts["one"]), int(parts["other"])
                month, day = (one, other) if other > 12 or one == other else (other, one)
                if min(one, other) > 12 or (max(one, other) <= 12 and one != other):
                    continue
            else:
                name = parts["month"]
                month, day = int(name) if name.isdecimal() else _MONTH.get(name.lower(), 0), int(parts["day"])
            try:
                yield datetime.date(int(parts["year"]), month, day).isoformat()
            except ValueError:
                continue
