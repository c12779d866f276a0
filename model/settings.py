"""The base of all settings: frozen, without extra fields; a partly given section keeps its field's other defaults."""

from __future__ import annotations

import inspect
import itertools
import types
import typing
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ModelWrapValidatorHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

SHAPES_NO_RESULT = "makes configs, whose values are in the key"


class Settings(BaseModel):
    """Base of every config in a recipe.

    A field whose default is `Training(steps=300, learning_rate=5e-4)` and that is given as `{steps: 301}` keeps the
    5e-4: pydantic alone would rebuild the section from the defaults of the class and set it to 3e-3.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @classmethod
    def completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return the given values and those they imply; for settings that are a short form of several others."""
        return given

    @model_validator(mode="wrap")
    @classmethod
    def _complete(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, Mapping):
            return handler(given)
        made = handler(with_defaults(cls, given))
        _forget_defaults(made, given)
        return made

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe a section with the defaults of its field: the forms in Prefect's UI start from them."""
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for name, field in cls.model_fields.items():
            held, section = field.get_default(call_default_factory=True), properties.get(name, {})
            if isinstance(held, Settings) and "$ref" in section and _changed(held):
                properties[name] = _with_held(section, held, handler)
        return described


_S = TypeVar("_S", bound=Settings)


def with_defaults(model: type[BaseModel], given: Mapping[str, Any], held: BaseModel | None = None) -> dict[str, Any]:
    """Return the given values of `model`, completed from `held`, the default of its field; nested sections are
    completed in the same way, at every depth."""
    filled = {**(_carried(held) if held is not None else {}), **given}
    if issubclass(model, Settings):
        filled = model.completed(filled)
    for name, field in model.model_fields.items():
        if name in filled:
            default = getattr(held, name) if held is not None else field.get_default(call_default_factory=True)
            filled[name] = _filled(field.annotation, filled[name], default)
    return filled


def changed_by(held: _S, given: _S) -> _S:
    """Return `held` with the explicitly set values of `given` in place of its own, at every depth."""
    return type(held).model_validate(with_defaults(type(held), given.model_dump(mode="json", exclude_unset=True), held))


def _forget_defaults(made: Settings, given: Mapping[str, Any]) -> None:
    """Mark only the given fields as set, not those that were completed from a default."""
    made.model_fields_set.intersection_update(given)
    for name in made.model_fields_set:
        value, own = getattr(made, name), given[name]
        if isinstance(value, Settings) and isinstance(own, Mapping):
            _forget_defaults(value, own)


def _filled(annotation: Any, given: Any, held: Any) -> Any:
    """Complete the sections in a field's value: a section, an optional one, or a sequence or mapping of sections.

    A list given for a tuple becomes a tuple: JSON input is treated as Python from here on, and strict validation would
    reject the list.
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
    return with_defaults(chosen, given, held)


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a value of this type may be an instance of, without those of its items."""
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
    """Return the model that is meant: the only candidate, else that of the default or the first that `given` fits."""
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
    """Return the fields of a model that take one of several fixed words, with these words."""
    return {
        name: typing.get_args(field.annotation)
        for name, field in model.model_fields.items()
        if typing.get_origin(field.annotation) is typing.Literal
    }


def _carried(held: BaseModel) -> dict[str, Any]:
    """Return a default as plain data: all of it, except that settings which are a short form of others contribute only
    what differs from the default of their class, because they fill in only what was not given."""
    plain = held.model_dump(mode="json")
    own, usual = (inspect.getattr_static(kind, "completed", None) for kind in (type(held), Settings))
    stands_for_others = own is not None and own is not usual
    return {name: plain[name] for name in _changed(held)} if stands_for_others else plain


def _changed(held: BaseModel) -> list[str]:
    """Return the fields whose value in a default differs from the default of its class."""
    return [
        name
        for name, field in type(held).model_fields.items()
        if getattr(held, name) != field.get_default(call_default_factory=True)
    ]


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
