"""Settings: a partly given section keeps the rest of the default that its field holds, however it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, create_model

from model.settings import Settings, changed_by


class Inner(Settings):
    names: tuple[str, ...] = ("a",)
    folder: Path | None = None
    number: int = 3


class Middle(Settings):
    inner: Inner = Inner(number=4)
    size: int = 1


class Red(Settings):
    kind: Literal["red"] = "red"
    x: int = 1


class Blue(Settings):
    kind: Literal["blue"] = "blue"
    x: int = 1
    z: int = 2


class Plain(Settings):
    """Holds what the class Inner says, where Middle says otherwise."""

    middle: Middle = Middle(inner=Inner())


class Outer(Settings):
    middle: Middle = Field(Middle(inner=Inner(number=5, names=("q",)), size=2), description="held two floors deep")
    maybe: Inner | None = Inner(number=6)
    nothing: Inner | None = None
    many: tuple[Middle, ...] = ()
    named: dict[str, Middle] = Field({})
    tagged: Annotated[Red | Blue, Field(discriminator="kind")] = Blue(x=7)
    either: Red | Blue = Blue(x=7)


Q = Inner(number=5, names=("q",))
Q_FOLDER = Q.model_copy(update={"folder": Path("f")})
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"middle": {"size": 9}}, {"middle": Middle(inner=Q, size=9)}),
    ({"middle": {"inner": {"folder": "f"}}}, {"middle": Middle(inner=Q_FOLDER, size=2)}),
    ({"middle": {"inner": {"names": ["x"]}}}, {"middle": Middle(inner=Inner(number=5, names=("x",)), size=2)}),
    ({"maybe": {"names": []}}, {"maybe": Inner(number=6, names=())}),
    ({"maybe": None, "nothing": {"number": 9}}, {"maybe": None, "nothing": Inner(number=9)}),
    ({"many": [{"inner": {"names": ["y"]}}]}, {"many": (Middle(inner=Inner(number=4, names=("y",))),)}),
    ({"named": {"a": {"inner": {"names": ["y"]}}}}, {"named": {"a": Middle(inner=Inner(number=4, names=("y",)))}}),
    ({"tagged": {"z": 3}, "either": {"z": 3}}, {"tagged": Blue(x=7, z=3), "either": Blue(x=7, z=3)}),
    ({"tagged": {"kind": "red"}, "either": {"kind": "red"}}, {"tagged": Red(), "either": Red()}),
    ({"tagged": {"kind": "blue"}}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "changed"), CASES)
def test_what_is_not_given_is_the_fields_own_default(given: dict[str, Any], changed: dict[str, Any]) -> None:
    expected = Outer().model_copy(update=changed)
    # as a parameter of a flow is validated: inside of a model that is not ours
    around: Any = create_model("Parameters", config=(Outer, ...))
    assert Outer(**given) == expected
    assert Outer.model_validate(given) == expected
    assert Outer.model_validate_json(json.dumps(given), strict=True) == expected
    assert around(config=given).config == expected
    assert around.model_validate_json(json.dumps({"config": given})).config == expected


def test_a_default_counts_also_where_it_is_what_its_class_says() -> None:
    for given in ({"middle": {"inner": {"names": ["x"]}}}, {"middle": {"size": 9}}):
        assert Plain.model_validate(given).middle.inner.number == 3
        assert Plain.model_validate_json(json.dumps(given), strict=True).middle.inner.number == 3


def test_what_was_given_in_part_changes_that_part_of_another_one() -> None:
    held = Outer(middle=Middle(inner=Inner(number=8), size=7), maybe=None)
    assert changed_by(held, Outer()) == held
    assert changed_by(held, held) == held
    given = Outer.model_validate({"middle": {"inner": {"names": ["x"]}}, "maybe": {"number": 1}})
    assert changed_by(held, given) == held.model_copy(
        update={"middle": Middle(inner=Inner(number=8, names=("x",)), size=7), "maybe": Inner(number=1)}
    )
    back = Outer.model_validate({"middle": {"inner": {"number": 3}}})
    assert changed_by(held, back).middle == Middle(inner=Inner(number=3), size=7)


def test_strict_json_stays_strict() -> None:
    for wrong in ({"middle": {"size": "3"}}, {"middle": {"size": True}}, {"middle": {"inner": {"names": "ab"}}}):
        with pytest.raises(ValidationError):
            Outer.model_validate_json(json.dumps(wrong), strict=True)
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate_json('{"middle": {"inner": {"names": ["a", 3], "nmber": 1}}}', strict=True)
    assert {error["loc"] for error in caught.value.errors()} == {
        ("middle", "inner", "names", 1),
        ("middle", "inner", "nmber"),
    }


def test_settings_that_stand_for_others_are_not_outvoted_by_a_default() -> None:
    class Profiled(Settings):
        profile: Literal["small", "large"] = "small"
        size: int = 1

        @classmethod
        def completed(cls, given: dict[str, Any]) -> dict[str, Any]:
            return {"size": 9, **given} if given.get("profile") == "large" else given

    class Holder(Settings):
        section: Profiled = Profiled()

    assert Holder.model_validate_json('{"section": {"profile": "large"}}').section.size == 9
    assert Holder(section={"profile": "large", "size": 5}).section.size == 5  # type: ignore[arg-type]


def test_the_schema_of_a_form_has_the_defaults_that_a_field_holds() -> None:
    def check(properties: dict[str, Any], held: BaseModel) -> None:
        plain = held.model_dump(mode="json")
        for name, described in properties.items():
            assert described["default"] == plain[name], name
            if "properties" in described:
                check(described["properties"], getattr(held, name))

    schema = Outer.model_json_schema()
    check(schema["properties"], Outer())
    inner = schema["properties"]["middle"]["properties"]["inner"]
    assert inner["properties"]["number"]["default"] == 5
    assert schema["properties"]["middle"]["description"] == "held two floors deep"
