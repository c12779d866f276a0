"""Stage configs: frozen pydantic models whose fields are either identity or execution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, Field, model_validator

from model.settings import Settings, changed_by, models_of, with_defaults
from tasks.stage.file_patterns import as_text

SHAPES_NO_RESULT = "makes configs, whose values are in the key"

__all__ = [
    "Execution",
    "Reference",
    "StageConfig",
    "changed_by",
    "execution",
    "flatten",
    "identity",
    "is_execution",
    "models_of",
    "with_defaults",
]


class StageConfig(Settings):
    """Base of every config in a recipe.

    A field is identity (it changes the result, so it is part of the artifact's key) unless it is declared with
    `Execution(...)` (device, workers, log intervals: they change how the result is computed, not what it is).
    """

    @model_validator(mode="before")
    @classmethod
    def _spell(cls, given: Any) -> Any:
        """Spell out bytes that are not UTF-8, in file names from the command line: configs are stored as text."""
        return _as_text(given)


def Execution(default: Any, *, description: str, **constraints: Any) -> Any:
    """Return a pydantic field that is never part of a key: it says how a stage runs, not what it makes."""
    return Field(default, description=description, json_schema_extra={"execution": True}, **constraints)


def Reference(default: Any = "", *, description: str, **constraints: Any) -> Any:
    """Return a field that names artifacts of the lake, as `stage/<key>`.

    The graph makes them inputs (`Graph.pinned`), so the key contains their content, not their names.
    """
    return Execution(default, description=description, **constraints)


def is_execution(field: Any) -> bool:
    """Whether a pydantic FieldInfo was declared with `Execution`."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("execution") is True


def identity(config: BaseModel) -> dict[str, Any]:
    """Return the fields of `config`, nested configs included, that change the result."""
    return {
        name: _plain(getattr(config, name), identity)
        for name, field in type(config).model_fields.items()
        if not is_execution(field)
    }


def execution(config: BaseModel) -> dict[str, Any]:
    """Return the fields of `config`, nested configs included, that do not change the result."""
    found: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if is_execution(field):
            found[name] = _plain(value, lambda nested: nested.model_dump(mode="json"))
        elif isinstance(value, BaseModel) and (nested := execution(value)):
            found[name] = nested
    return found


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one mapping with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_as_text, value))
    if isinstance(value, dict):
        return {_as_text(key): _as_text(item) for key, item in value.items()}
    return value


def _plain(value: Any, model: Callable[[BaseModel], dict[str, Any]]) -> Any:
    if isinstance(value, BaseModel):
        return model(value)
    if isinstance(value, list | tuple):
        return [_plain(item, model) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, model) for key, item in value.items()}
    return value
