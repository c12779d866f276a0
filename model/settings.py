"""The base of all settings: frozen, closed, and a partly given section keeps the rest of the default of its field."""

from __future__ import annotations

import itertools
import types
import typing
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticUndefined


class Settings(BaseModel):
    """Base of every config in a recipe.

    A field that holds `Optimization(steps=300, learning_rate=5e-4)` and is given as `{steps: 301}` keeps the 5e-4:
    pydantic alone would build the section anew from what the class says, and turn it into 3e-3.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @classmethod
    def completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return what was given together with what follows from it; for settings that stand for several others."""
        return given

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        return with_defaults(cls, given) if isinstance(given, Mapping) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe a section with the defaults that its field holds: the forms of Prefect's UI begin with them."""
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for name, field in cls.model_fields.items():
            held, section = field.get_default(call_default_factory=True), properties.get(name, {})
            if isinstance(held, Settings) and "$ref" in section and _changed(held):
                properties[name] = _with_held(section, held, handler)
        return described


def with_defaults(model: type[BaseModel], given: Mapping[str, Any], held: BaseModel | None = None) -> dict[str, Any]:
    """Return what was given of `model`, completed by what `held`, the default of its field, says otherwise than the
    class does; the same for all sections in it, at every depth."""
    filled = dict(given)
    if issubclass(model, Settings):
        filled = model.completed(filled)
    for name, other in (_changed(held) if held is not None else {}).items():
        filled.setdefault(name, other)
    for name, field in model.model_fields.items():
        if name in filled:
            default = getattr(held, name) if held is not None else field.get_default(call_default_factory=True)
            filled[name] = _filled(field.annotation, filled[name], default)
    return filled


def _filled(annotation: Any, given: Any, held: Any) -> Any:
    """Complete the sections in a value of a field, be it one, an optional one, or a sequence or mapping of them.

    A list for a tuple becomes one: what came as JSON is Python from here on, and strict validation takes no list then.
    """
    if isinstance(given, Mapping):
        return _filled_mapping(annotation, given, held)
    alternatives = list(_alternatives(annotation))
    if isinstance(given, list | tuple):
        for alternative in alternatives:
            items = typing.get_args(alternative)
            if typing.get_origin(alternative) is tuple and items:
                kinds = itertools.repeat(items[0]) if items[-1] is Ellipsis else itertools.chain(items, given)
                return tuple(_filled(kind, item, None) for kind, item in zip(kinds, given, strict=False))
    return given


def _filled_mapping(annotation: Any, given: Mapping[str, Any], held: Any) -> dict[str, Any]:
    candidates = list(models_of(annotation))
    chosen = _member(candidates, given, held)
    if chosen is None:
        values = [typing.get_args(a)[1] for a in _alternatives(annotation) if typing.get_origin(a) is dict]
        return {name: _filled(values[0] if values else Any, item, None) for name, item in given.items()}
    if not isinstance(held, chosen):
        return with_defaults(chosen, given)
    tags = {name: getattr(held, name) for name in _choices(chosen)} if len(candidates) > 1 else {}
    return with_defaults(chosen, {**tags, **given}, held)


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a value of this type may be itself: not those of its items."""
    for alternative in _alternatives(annotation):
        is_class = isinstance(alternative, type) and not isinstance(alternative, types.GenericAlias)
        if is_class and issubclass(alternative, BaseModel):
            yield alternative


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, or the type itself."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _alternatives(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation


def _member(candidates: list[type[BaseModel]], given: Mapping[str, Any], held: Any) -> type[BaseModel] | None:
    """Return the model that is meant: the only one, else the held default's or the first that what was given fits."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    ordered = sorted(candidates, key=lambda model: type(held) is not model)
    for model in ordered:
        choices = _choices(model)
        if given.keys() <= model.model_fields.keys() and all(
            name not in given or given[name] in allowed for name, allowed in choices.items()
        ):
            return model
    return None


def _choices(model: type[BaseModel]) -> dict[str, tuple[Any, ...]]:
    """Return the fields of a model that are one of some words, with these words."""
    return {
        name: typing.get_args(field.annotation)
        for name, field in model.model_fields.items()
        if typing.get_origin(field.annotation) is typing.Literal
    }


def _changed(held: BaseModel) -> dict[str, Any]:
    """Return as plain data what a default says otherwise than its class would; of nested sections only that part.

    All of it would be too much: a setting that stands for others (`Settings.completed`) fills in only what is not said.
    """
    plain = held.model_dump(mode="json")
    found: dict[str, Any] = {}
    for name, field in type(held).model_fields.items():
        value, own = getattr(held, name), field.get_default(call_default_factory=True)
        if own is PydanticUndefined or value != own:
            nested = isinstance(value, BaseModel) and type(value) is type(own)
            found[name] = _against(value, own) if nested else plain[name]
    return found


def _against(value: BaseModel, own: BaseModel) -> dict[str, Any]:
    """Return as plain data what a section says otherwise than another of its class."""
    plain = value.model_dump(mode="json")
    return {
        name: _against(new, old) if isinstance(new, BaseModel) and type(new) is type(old) else plain[name]
        for name in type(value).model_fields
        if (new := getattr(value, name)) != (old := getattr(own, name))
    }


def _with_held(described: JsonSchemaValue, held: BaseModel, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """Return the schema of a section in place, not as a reference, with the values of `held` as its defaults."""
    own = deepcopy(handler.resolve_ref_schema({"$ref": described["$ref"]}) if "$ref" in described else described)
    plain = held.model_dump(mode="json")
    for name, property_ in own["properties"].items():
        value = getattr(held, name)
        if isinstance(value, Settings) and ("$ref" in property_ or "properties" in property_):
            property_ = _with_held(property_, value, handler)
        own["properties"][name] = {**property_, "default": plain[name]}
    return {**own, **{name: value for name, value in described.items() if name not in ("$ref", "properties")}}
