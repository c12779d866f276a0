"""Readable versions of pydantic's errors: field path, reason, value and nearest valid name of each mistake."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from flows.recipe.errors import nearest, show_value
from flows.recipe.yaml import FieldPath
from flows.recipe.yaml_hints import quoted

Explained = tuple[FieldPath, str, str | None, str | None]
"""Field path, reason (a sentence), the value as text, the nearest valid name."""


def explain_invalid(model: type[BaseModel], error: ValidationError) -> Iterator[Explained]:
    """Yield each mistake of a ValidationError of `model`, one per field."""
    merged: dict[FieldPath, list[Explained]] = {}
    kinds: dict[FieldPath, list[str]] = {}
    for details in error.errors(include_url=False):
        path, owners = _resolve(model, details["loc"], details["type"] in {"extra_forbidden", "missing"})
        kinds.setdefault(path, []).append(details["type"])
        merged.setdefault(path, []).append(_explain(model, path, owners, details))
    for path, found in merged.items():
        # if one member of a union has the field, errors that the other members do not have it are irrelevant
        known = [item for item, kind in zip(found, kinds[path], strict=True) if kind != "extra_forbidden"]
        found = known or found
        reasons = list(dict.fromkeys(reason for _, reason, _, _ in found))  # for a union, one per member
        hint = next((hint for *_, hint in found if hint), None)
        yield path, " Or: ".join(reasons), found[0][2], hint


def field_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every field of a model, nested models included."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for nested in _models(field.annotation):
            yield from field_paths(nested, f"{prefix}{name}.")


def _explain(model: type[BaseModel], path: FieldPath, owners: list[type[BaseModel]], details: Any) -> Explained:
    hint: str | None = None
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind == "extra_forbidden":
        name = str(path[-1])
        own = [field for owner in owners for field in owner.model_fields]
        section = ".".join(str(part) for part in path[:-1])
        reason = f"There is no field {name} in {section}." if section else f"There is no section {name}."
        near = nearest(name, own)
        hint = ".".join(filter(None, (section, near))) if near else _elsewhere(model, name, section)
        if hint is None and own:
            reason += f" It has: {', '.join(own)}."
        return path, reason, show_value(value), hint
    if kind == "missing":
        return path, "This field is required here.", None, None
    reason = str(details["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    reason = reason.replace("Input should", "It must").replace("must be an object", "must be a section with fields")
    reason = _of_kind(kind, value) or reason[:1].upper() + reason[1:].rstrip(".") + "."
    if "expected" in context and isinstance(value, str):
        hint = nearest(value, re.findall(r"'([^']*)'", str(context["expected"])))
    return path, reason, show_value(value), hint


def _of_kind(kind: str, value: Any) -> str | None:
    """Return what a value of the wrong kind should be, and how to write it; None if pydantic's message will do."""
    if kind in ("tuple_type", "list_type", "set_type", "frozen_set_type"):
        if value is None:
            return "It must be a list. An empty one is []; without this line, the default is used."
        if isinstance(value, str):
            items = [item for item in re.split(r"\s*,\s*", value) if item]
            return f"It must be a list, even of one value: [{', '.join(map(quoted, items))}]."
        if isinstance(value, Mapping):
            return "It must be a list: one value after each dash, or [a, b]."
        return f"It must be a list, even of one value: [{show_value(value)}]."
    if kind in ("bool_type", "bool_parsing") and isinstance(value, str):
        meant = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
        return f"It must be true or false{f': {word}' if (word := meant.get(value.lower())) else ''}."
    if isinstance(value, list) and len(value) == 1 and kind.endswith("_type") and not kind.startswith("model"):
        return f"It must be one value, not a list: {show_value(value[0])}."
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f"It must be text; put it in quotes: '{value}'."
    if kind in ("model_type", "model_attributes_type") and isinstance(value, str):
        name, colon, rest = value.partition(":")
        if colon and rest and re.fullmatch(r"[a-z_.]+", name):
            return f"It must be a section with fields; a space is missing after the colon: {name}: {rest.strip()}"
    if kind in ("model_type", "model_attributes_type") and isinstance(value, list):
        return "It must be a section with fields, each as `name: value` on a line of its own, without a dash."
    return None


def _elsewhere(model: type[BaseModel], name: str, section: str) -> str | None:
    """The path of another field whose own name is `name` or similar; those below `section` come first."""
    by_name: dict[str, str] = {}
    for path in sorted(field_paths(model), key=lambda path: not path.startswith(f"{section}.")):
        by_name.setdefault(path.rpartition(".")[2], path)
    found = nearest(name, by_name)
    return by_name[found] if found else None


def _resolve(
    model: type[BaseModel], location: tuple[int | str, ...], ends_in_field: bool
) -> tuple[FieldPath, list[type[BaseModel]]]:
    """Return the field path of an error's location, and the models that its last part could be a field of.

    Pydantic puts the names of a union's members into the location; they are not fields and are left out.
    """
    path: list[int | str] = []
    owners: list[type[BaseModel]] = [model]
    here: list[Any] = [model]
    for index, part in enumerate(location):
        fields = [m.model_fields[part].annotation for m in owners if isinstance(part, str) and part in m.model_fields]
        is_last = index == len(location) - 1
        if fields:
            path.append(part)
            here = fields
            if not is_last:
                owners = [nested for annotation in fields for nested in _models(annotation)] or owners
        elif isinstance(part, int) or (is_last and ends_in_field) or not _is_member(part, here):
            path.append(part)
    return tuple(path), owners


def _is_member(part: str | int, annotations: list[Any]) -> bool:
    """Whether `part` is pydantic's name of a union's member ("int", "function-after[...]", a class or a tag)."""
    text = str(part)
    if "[" in text or text in {"str", "int", "float", "bool", "none", "path", "url", "json-or-python"}:
        return True
    nested = [m for annotation in annotations for m in _models(annotation)]
    tags = {str(arg) for m in nested for f in m.model_fields.values() for arg in typing.get_args(f.annotation)}
    return text in {m.__name__ for m in nested} | tags


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Every pydantic model that a field's annotation mentions."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [m for argument in typing.get_args(annotation) for m in _models(argument)]
