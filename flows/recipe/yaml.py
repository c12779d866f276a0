"""YAML for recipes: plain data only, every value with its line number, every mistake reported at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from flows.recipe.yaml_hints import way_out
from tasks.stage.file_patterns import as_text

MAX_BYTES = 256 * 1024  # our longest recipe is below 10 KB
MAX_DEPTH = 32

FieldPath = tuple[str | int, ...]
Report = Callable[[FieldPath, int, str, str | None], None]
"""Called with field path, line (from 1), reason, and the value as text if there is one."""
_AS_PRIVATE = {0xDC00 + byte: 0x10FF00 + byte for byte in range(0x80, 0x100)}  # private-use characters
_AS_HALVES = {private: half for half, private in _AS_PRIVATE.items()}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader with the scalars of YAML 1.2.

    In YAML 1.1 `no` is false, `1e-3` is text, `12:30` is 750 and `2024-01-01` is a date: four well-known surprises.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", "~nN"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first, ""])


def parse_argument(text: str, report: Report) -> tuple[Any, dict[FieldPath, int]]:
    """Parse a YAML value from the command line, where file names may contain bytes that are not UTF-8.

    Python represents such bytes as lone surrogates, which YAML rejects; the result spells them out, as configs do.
    """
    value, lines = parse_yaml(text.translate(_AS_PRIVATE), report)
    return _spelled(value), lines


def _spelled(value: Any) -> Any:
    if isinstance(value, str):
        return as_text(value.translate(_AS_HALVES))
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if isinstance(value, dict):
        return {_spelled(key): _spelled(item) for key, item in value.items()}
    return value


def parse_yaml(text: str, report: Report) -> tuple[Any, dict[FieldPath, int]]:
    """Parse one YAML document into dicts, lists and scalars, and map each field path to its line (from 1).

    Mistakes go to `report`; invalid parts are left out of the result, which is None if nothing could be read.
    Aliases, tags and merge keys are rejected: a few lines of aliases can expand to gigabytes.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        report((), 1, f"A recipe may have at most {MAX_BYTES // 1024} KB.", None)
        return None, {}
    try:
        if not _is_plain(text, report):
            return None, {}
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        marks = [mark for name in ("context_mark", "problem_mark") if (mark := getattr(error, name, None)) is not None]
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        first, last = (marks[0].line, marks[-1].line) if marks else (0, 0)
        advice = way_out(text, first, last)
        report((), last + 1, f"This is not valid YAML: {what}. {advice}".rstrip(), None)
        return None, {}
    lines: dict[FieldPath, int] = {}
    return (None if node is None else _value(node, (), lines, report)), lines


def _is_plain(text: str, report: Report) -> bool:
    """Check the stream of events before anything is built from it: building is recursive, this check is not."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            advice = way_out(text, line - 1, line - 1) or "Write the value where it is needed."
            report((), line, f"Anchors (&) and aliases (*) are not allowed. {advice}", None)
            return False
        if (tag := getattr(event, "tag", None)) not in (None, "!"):
            advice = way_out(text, line - 1, line - 1) or f"Remove {tag!r}."
            report((), line, f"Tags are not allowed in a recipe. {advice}", None)
            return False
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                report((), line, f"Nothing in a recipe may be nested deeper than {MAX_DEPTH} levels.", None)
                return False
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return True


def _line(item: yaml.Event | yaml.Node) -> int:
    mark = item.start_mark
    return mark.line + 1 if mark else 1


def _value(node: yaml.Node, path: FieldPath, lines: dict[FieldPath, int], report: Report) -> Any:
    line = _line(node)
    lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, report)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, index), lines, report) for index, child in enumerate(node.value)]
    return _scalar(str(node.value), node.tag, path, line, report)


def _mapping(node: yaml.MappingNode, path: FieldPath, lines: dict[FieldPath, int], report: Report) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            report(path, line, "A field's name must be a word, not a list or a mapping.", None)
            continue
        name = key_node.value
        here = (*path, name)
        if name in values:
            report(here, line, f"This field was already given in line {lines[here]}; keep one of the two.", None)
            continue
        lines[here] = line
        values[name] = _value(value_node, here, lines, report)
    return values


def _scalar(text: str, tag: str, path: FieldPath, line: int, report: Report) -> Any:
    kind = tag.rpartition(":")[2]
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        report(path, line, "This text contains half of a surrogate pair, which is not a character.", ascii(text))
        return None
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind not in ("int", "float"):
        return text
    if len(text) > 100:
        report(path, line, "A number may have at most 100 digits.", text[:20] + "…")
        return None
    digits = text.replace("_", "").lower()
    number = float(digits.replace(".inf", "inf").replace(".nan", "nan")) if kind == "float" else int(digits)
    if isinstance(number, int):
        return number
    if not math.isfinite(number):
        report(path, line, "A number in a recipe must be finite.", text)
        return 0
    # 1e6 steps are a whole number of steps; a field for fractions also accepts whole numbers
    return int(number) if number.is_integer() else number


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which also quotes texts that `_Loader` would not read as text."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def to_yaml(data: Mapping[str, Any]) -> str:
    """Return nested sections as YAML, one field per line, that `parse_yaml` reads back as equal data."""
    return "".join(_field_lines(data, ""))


def _field_lines(section: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in section.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_one_line(name)}:\n"
            yield from _field_lines(value, f"{indent}  ")
        else:
            yield f"{indent}{_one_line(name)}: {_one_line(value)}\n"


def _one_line(value: Any) -> str:
    text = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=math.inf, explicit_end=False
    )
    return text.removesuffix("\n").removesuffix("\n...")
