"""Hints for a recipe that is not valid YAML: which character has a special meaning, and how to quote it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_VALUE = re.compile(r"[ \t]*(?:-[ \t]+)*(?:[\w.\"'-]+[ \t]*:[ \t]+)?(.*)", re.S)
_WORDS = {
    "*": "begins an alias",
    "&": "begins an anchor",
    "!": "begins a tag",
    "%": "begins a directive",
    "@": "is reserved",
    "`": "is reserved",
    "|": "begins a text of several lines",
    ">": "begins a text of several lines",
}
_SPECIAL = frozenset(_WORDS)
_IN_LIST = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"|[^,]+")
MAX_SHOWN = 60


def way_out(text: str, first: int, last: int) -> str:
    """Return what is wrong with the lines from `first` to `last` (from 0) and how to correct it; "" = not known."""
    lines = text.split("\n")
    for number in dict.fromkeys((last, *range(max(0, first), last), first)):
        if 0 <= number < len(lines) and (found := next(_of_line(lines, number), None)) is not None:
            where = "" if number == last else f"Line {number + 1}: "
            return where + found
    return ""


def quoted(value: str) -> str:
    """Return a text in single quotes, in which YAML takes each character literally."""
    value = value.strip()
    shown = value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 1] + "…"
    return "'" + shown.replace("'", "''") + "'"


def special(value: str) -> str | None:
    """Return why a value needs quotes because of its first character."""
    if value[:1] in _SPECIAL and not re.match(r"[|>][-+0-9]*\s*\Z", value):
        return f"A value that begins with {value[0]} must be quoted, as {value[0]} {_WORDS[value[0]]}: {quoted(value)}."
    return None


def _of_line(lines: list[str], number: int) -> Iterator[str]:
    line = lines[number].rstrip("\r")
    if "\t" in line[: len(line) - len(line.lstrip())]:
        yield "YAML does not allow tabs as indentation; use spaces."
    match = _VALUE.fullmatch(line)
    value = _without_comment(match[1] if match else "").strip()
    if reason := special(value):
        yield reason
    if value.startswith("["):
        yield from _of_list(value)
    if value.startswith("{") and not re.fullmatch(r"\{[^{}]*\}", value):
        yield f"A value that begins with {{ is a mapping; quote it if it is not: {quoted(value)}."
    if value.startswith('"') and re.search(r"\\[^0abtnvfre \"/\\N_LPxuU]", value):
        single = re.sub(r"\"((?:[^\"\\]|\\.)*)\"", lambda found: quoted(found[1]), value)
        yield f"In double quotes a backslash means something else; use single quotes: {single}."
    for mark, name in (("'", "single"), ('"', "double")):
        rest = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"", "", value)
        if value.startswith((mark, f"[{mark}")) and mark in rest:
            yield f"A {name} quotation mark is not closed here."
        elif value.startswith(mark) and rest.strip(" ,]"):
            yield f"The closing quotation mark is followed by {rest.strip()}; put the whole value in quotes."
    if not value.startswith(("'", '"', "[", "{")) and re.search(r":(?:\s|\Z)", value):
        yield f"A value that contains a colon and a space must be quoted: {quoted(value)}."
    if re.match(r"\s*-[^\s-]", line):
        stripped = line.strip()
        yield f"A space is missing after the dash: - {stripped[1:]}"
    if re.fullmatch(r"\s*[a-z_.]+:[^\s/].*", line):
        name, _, rest = line.strip().partition(":")
        yield f"A space is missing after the colon: {name}: {rest}"
    above = next((one for one in reversed(lines[:number]) if one.strip() and not one.strip().startswith("#")), "")
    if _indent(line) != _indent(above) and re.match(r"\s*[\w.]+\s*:", line) and not above.rstrip().endswith(":"):
        yield "The fields of a section must begin in the same column; this one does not."


def _of_list(value: str) -> Iterator[str]:
    """Yield what is wrong with a list on one line, or with a text that looks like one."""
    if value.count("[") == value.count("]") and not value.endswith("]"):
        yield f"A value that begins with [ is a list; quote it if it is not: {quoted(value)}."
        return
    inside = value[1:-1] if value.endswith("]") else value[1:]
    items = [item.strip() for item in _IN_LIST.findall(inside)]
    for item in items:
        if reason := special(item):
            yield reason
        if re.search(r"[\[\]{}]", item) and not item.startswith(("'", '"')):
            yield f"A value with brackets in a list must be quoted: {quoted(item)}."
        if item[:1] in "'\"" and re.fullmatch(r"('[^']*'|\"[^\"]*\")\s*\S.*", item):
            yield f"Put the whole value in quotes: {quoted(item.replace(item[0], ''))}."
        if item.startswith('"') and re.search(r"\\[^0abtnvfre \"/\\N_LPxuU]", item):
            yield f"In double quotes a backslash means something else; use single quotes: {quoted(item[1:-1])}."
        if item[:1] in ("'", '"') and not item[1:].endswith(item[0]):
            yield "A quotation mark is not closed here."
    if value.count("[") > value.count("]"):
        yield "The list is not closed: ] is missing."


def _without_comment(value: str) -> str:
    return re.sub(r"\s#.*", "", value) if not value.startswith(("'", '"')) else value


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
