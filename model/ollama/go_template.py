"""As much of Go's text/template as chat templates of Ollama need, so that one can be rendered without Ollama.

Actions: a field (`.System`, `$said.Content`), a quoted text, `if`, `else if`, `else`, `range $at, $said := …`, `end`,
and functions. Everything else raises ValueError: nothing is guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_ACTION = re.compile(r"\{\{(- )?\s*(.*?)\s*( -)?\}\}", re.DOTALL)
_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[()]|[^\s()"]+)')
_RANGE = re.compile(r"range (\$\w+), (\$\w+) := (.+)", re.DOTALL)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": lambda left, *right: left in right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "len": len,
    "slice": lambda items, start=0, end=None: items[start:end],
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


@dataclass
class _Block:
    """What an `if` or `range` holds: branches (condition or None, parts)."""

    opened: str
    branches: list[tuple[str | None, list[Any]]] = field(default_factory=list)


def render(template: str, data: Mapping[str, Any]) -> str:
    """Return what Go renders of a template and its data, in which `.Name` is `data["Name"]`.

    Raises ValueError for what is no template or uses more of the language than is known here.
    """
    return "".join(_rendered(_parsed(template), {"$": data, ".": data}))


def _parsed(template: str) -> list[Any]:
    """Return texts, actions (as tuples) and blocks in order."""
    whole: list[Any] = []
    open_blocks: list[_Block] = []
    here, place = whole, 0
    trim = False
    for found in _ACTION.finditer(template):
        text = template[place : found.start()]
        here.append(text.lstrip() if trim else text)
        if found[1]:
            here[-1] = here[-1].rstrip()
        trim, place = bool(found[3]), found.end()
        action = found[2]
        name = action.split(" ", 1)[0]
        if name in ("if", "range"):
            block = _Block(action if name == "range" else "if", [(action[3:] if name == "if" else None, [])])
            here.append(block)
            open_blocks.append(block)
            here = block.branches[-1][1]
        elif name in ("else", "end"):
            if not open_blocks:
                raise ValueError(f"The template has {{{{ {action} }}}} where nothing is open.")
            if name == "end":
                open_blocks.pop()
                here = open_blocks[-1].branches[-1][1] if open_blocks else whole
            else:
                condition = action.removeprefix("else").strip()
                if condition and not condition.startswith("if "):
                    raise ValueError(f"The template has {{{{ {action} }}}}, which is not known here.")
                open_blocks[-1].branches.append((condition.removeprefix("if ") or None, []))
                here = open_blocks[-1].branches[-1][1]
        else:
            here.append((action,))
    if open_blocks:
        raise ValueError("The template has no {{ end }} for what it opened last.")
    rest = template[place:]
    here.append(rest.lstrip() if trim else rest)
    return whole


def _rendered(parts: list[Any], names: Mapping[str, Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, tuple):
            yield str(_value(part[0], names))
        elif part.opened == "if":
            taken = (inner for condition, inner in part.branches if condition is None or _value(condition, names))
            yield from _rendered(next(taken, []), names)
        else:
            found = _RANGE.fullmatch(part.opened)
            if found is None or len(part.branches) != 1:
                raise ValueError(f"The template has {{{{ {part.opened} }}}}, which is not known here.")
            for at, item in enumerate(_value(found[3], names)):
                yield from _rendered(part.branches[0][1], {**names, found[1]: at, found[2]: item, ".": item})


def _value(pipeline: str, names: Mapping[str, Any]) -> Any:
    words = _WORD.findall(pipeline)
    if "".join(words) != "".join(re.split(r'\s+(?=(?:[^"]*"[^"]*")*[^"]*$)', pipeline.strip())):
        raise ValueError(f"The template has {{{{ {pipeline} }}}}, which is not known here.")
    value = _called(words, names)
    if words:
        raise ValueError(f"The template has {{{{ {pipeline} }}}}, in which {words[0]} is too much.")
    return value


def _called(words: list[str], names: Mapping[str, Any]) -> Any:
    """Take a call or an operand from the words."""
    if words and words[0] in _FUNCTIONS:
        function = _FUNCTIONS[words.pop(0)]
        arguments = []
        while words and words[0] != ")":
            arguments.append(_operand(words, names))
        return function(*arguments)
    return _operand(words, names)


def _operand(words: list[str], names: Mapping[str, Any]) -> Any:
    if not words:
        raise ValueError("The template has an action without a value.")
    word = words.pop(0)
    if word == "(":
        value = _called(words, names)
        if not words or words.pop(0) != ")":
            raise ValueError("The template has a bracket that is not closed.")
        return value
    if word.startswith('"'):
        return json.loads(word)
    if word.isdigit():
        return int(word)
    root, *fields = word.split(".")
    value = names.get(root or ".")
    if value is None or (root == "" and not fields):
        raise ValueError(f"The template asks for {word}, which is not known here.")
    for name in fields:
        if name not in value:
            raise ValueError(f"The template asks for {word}, which is not known here.")
        value = value[name]
    return value
