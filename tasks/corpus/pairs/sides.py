"""The two texts of a row: found by the names of its columns, or where the config says; refused rows get a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.corpus.benchmarks.rows import plain_name
from tasks.corpus.crawl.rows import field_getter
from tasks.stage.json_kinds import kind_of

# How data sets call the two sides, most explicit names first.
_NAMES = (
    ("source", "target"), ("src", "tgt"), ("src", "trg"), ("source_text", "target_text"), ("input_text", "target_text"),
    ("document", "summary"), ("article", "highlights"), ("article", "summary"), ("dialogue", "summary"),
    ("text", "summary"), ("input", "output"), ("input", "target"), ("text", "target"),
)  # fmt: skip
_NESTED = "translation"  # Hugging Face's translation rows: {"translation": {"en": …, "de": …}}


class NoPair(ValueError):
    """A row has no pair that can be used; the message gives the reason, worded to complete a sentence about it."""


@dataclass(frozen=True)
class Pair:
    """A source and its target, both without blanks around them."""

    source: str
    target: str

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of both."""
        return len(self.source.encode()) + len(self.target.encode())


def pair_of(row: Any, source: str = "", target: str = "") -> Pair:
    """Return the pair of a row (a mapping); raises NoPair. source, target: columns as in the config, empty = found."""
    if not isinstance(row, Mapping):
        raise NoPair(f"it is {kind_of(row)}, not a row with named columns")
    names = (source, target) if source else columns_of(row)
    texts = [_text(row, name) for name in names]
    return Pair(*texts)


def columns_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the columns of source and target, known by their names or because there are only two; raises NoPair."""
    plain = {plain_name(str(name)): str(name) for name in row}
    for first, second in _NAMES:
        if first in plain and second in plain:
            return plain[first], plain[second]
    nested = row.get(plain.get(_NESTED, ""))
    inside, prefix = (nested, f"{plain[_NESTED]}.") if isinstance(nested, Mapping) else (row, "")
    if len(inside) == 2:
        first, second = inside
        return f"{prefix}{first}", f"{prefix}{second}"
    raise NoPair(
        f"its columns are {', '.join(f'{prefix}{name}' for name in inside) or 'none'}; name two of them in "
        "pairs.source and pairs.target"
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = field_getter(name)(dict(row))
    if value is None:
        missing = name not in row and name.split(".")[0] not in row
        where = f"; it has {', '.join(map(str, row)) or 'none'}" if missing else ""
        raise NoPair(f"it has no column {name}{where}" if missing else f"{name} is null")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise NoPair(f"{name} is {kind_of(value)}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        byte = ord(value[error.start]) - 0xDC00
        what = f"the byte 0x{byte:02x}" if 0x80 <= byte <= 0xFF else "half a surrogate pair"
        raise NoPair(
            f"{name} is not UTF-8 ({what} at character {error.start + 1}); convert the file, for example with: "
            "iconv -f WINDOWS-1252 -t UTF-8"
        ) from None
    if not value.strip():
        raise NoPair(f"{name} is empty")
    return value.strip()
