"""Recipes: loading by name and path, extending, overriding, and the mistakes that are all reported at once.

Also covers: flows/recipe/errors.py
Also covers: flows/recipe/yaml.py
Also covers: flows/recipe/schedule.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from flows.recipe.errors import RecipeError
from flows.recipe.load import load_as, load_recipe, recipe_names
from flows.recipe.recipe import Recipe, RecipeBase
from tasks.stage.config import Execution, StageConfig


class Source(StageConfig):
    path: str = Field("text", description="where the text lies")
    weight: float = Field(1.0, gt=0, description="its share")


class GatherConfig(StageConfig):
    sources: tuple[Source, ...] = Field((), description="where text comes from")
    pages: int = Field(10, gt=0, description="pages at most")
    name: str | None = Field(None, description="what to call it")


class GrowConfig(StageConfig):
    steps: int = Field(5, gt=0, description="optimizer steps")
    rate: float = Field(1e-3, description="learning rate")
    device: Literal["cpu", "cuda"] = Execution("cpu", description="where to compute")
    source: Source = Field(Source(), description="a nested section")
    folder: Path | None = Field(None, description="a path")

    @model_validator(mode="after")
    def _fits(self) -> GrowConfig:
        if self.steps == 13:
            raise ValueError("13 steps bring bad luck")
        return self


class Toy(RecipeBase):
    """A recipe of two stages."""

    gather: GatherConfig = Field(GatherConfig(), description="where text comes from")
    grow: GrowConfig | None = Field(GrowConfig(), description="what grows; null = nothing")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path, *overrides: str) -> RecipeBase:
    return load_as(Toy, path, overrides)


def problems(path: Path, *overrides: str) -> list[str]:
    """The problems, each as `line field | reason`."""
    with pytest.raises(RecipeError) as caught:
        load(path, *overrides)
    text = str(caught.value)
    assert all(str(problem) in text for problem in caught.value.problems)
    return [
        f"{p.place.rpartition(':')[2]} {p.field} = {p.value} | {p.reason} {p.suggestion or ''}".strip()
        for p in caught.value.problems
    ]


# -- what is right -----------------------------------------------------------------------------------------------------


def test_fields_left_out_keep_their_defaults_and_a_file_names_its_recipe(tmp_path: Path) -> None:
    recipe = load(write(tmp_path / "my.yaml", "grow:\n  steps: 1e3\n  folder: a/b\ngather:\n"))
    assert recipe.name == "my"
    assert recipe.config("grow") == GrowConfig(steps=1000, folder=Path("a/b"))
    assert list(recipe.configs()) == ["gather", "grow"]
    assert recipe.config("gather") == GatherConfig()


def test_an_empty_file_is_the_recipe_of_all_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path / "e.yaml", "")).configs() == {"gather": GatherConfig(), "grow": GrowConfig()}


def test_scalars_mean_what_they_look_like(tmp_path: Path) -> None:
    """YAML 1.1 reads `no` as false, 1e-4 as text, 12:30 as 750 and a date as a date."""
    for text in ("no", "on", "12:30", "2024-01-01", "0x10", "1.2.3"):
        assert load(write(tmp_path / "s.yaml", f"gather: {{name: {text}}}")).config("gather") == GatherConfig(name=text)
    recipe = load(write(tmp_path / "s.yaml", "grow: {rate: 1e-4}"))
    assert recipe.config("grow") == GrowConfig(rate=1e-4)


def test_extends_changes_only_what_it_says(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "name: base\ngrow: {steps: 7, source: {path: a}}\ngather: {sources: [{}, {}]}\n")
    child = write(
        tmp_path / "child.yaml", "extends: base.yaml\ngrow: {source: {weight: 2}}\ngather: {sources: [{path: z}]}\n"
    )
    recipe = load(child)
    assert recipe.name == "child"
    assert recipe.config("grow") == GrowConfig(steps=7, source=Source(path="a", weight=2))
    assert recipe.config("gather") == GatherConfig(sources=(Source(path="z"),))


@pytest.mark.parametrize("spelled", ['["/x/caf\udce9.txt"]', "[/x/caf\udce9.txt]", "['/x/caf\udce9.txt']"])
def test_an_override_may_name_a_file_whose_name_is_no_utf8(tmp_path: Path, spelled: str) -> None:
    (tmp_path / "r.yaml").write_text("extends: demo\n")
    found = load_recipe(tmp_path / "r.yaml", (f"crawl.paths={spelled}",))
    assert found.crawl.paths == (r"/x/caf\xe9.txt",)


def test_overrides_win_and_are_yaml(tmp_path: Path) -> None:
    path = write(tmp_path / "o.yaml", "gather: {sources: [{path: a}, {path: b}]}\n")
    recipe = load(
        path, "gather.sources.1.path=c", "grow.source={path: d}", "grow.steps=2", "grow.steps=3", "grow.folder="
    )
    assert recipe.config("gather") == GatherConfig(sources=(Source(path="a"), Source(path="c")))
    assert recipe.config("grow") == GrowConfig(steps=3, source=Source(path="d"))


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_that_come_along_are_right(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert Recipe.model_validate(recipe.model_dump()) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_every_field_of_every_stage_has_a_default_and_a_description() -> None:
    """Recipes only override, and the descriptions are the help of the form in Prefect's UI."""

    def check(model: type, where: str) -> None:
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            assert field.description, f"{where}.{name} has no description"
            if hasattr(field.annotation, "model_fields"):
                check(field.annotation, f"{where}.{name}")

    check(Recipe, "recipe")
    Recipe()


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_all_mistakes_come_at_once_with_line_field_value_reason_and_nearest_name(tmp_path: Path) -> None:
    text = """\
description: [1]
gather:
  pages: 0
  sources:
    - {path: 3}
    - {weight: -1, pth: x}
grow:
  stepz: 4
  rate: fast
  device: cud
  pages: 4
  steps: true
  source: {pth: 3}
growe: {}
"""
    assert problems(write(tmp_path / "bad.yaml", text), "grow.rat=3", "grow.source.weight=0", "nonsense") == [
        "1 description = [1] | It must be one value, not a list: 1.",
        "3 gather.pages = 0 | It must be greater than 0.",
        "5 gather.sources.0.path = 3 | It must be text; put it in quotes: '3'.",
        "6 gather.sources.1.weight = -1 | It must be greater than 0.",
        "6 gather.sources.1.pth = 'x' | There is no field pth in gather.sources.1. gather.sources.1.path",
        "8 grow.stepz = 4 | There is no field stepz in grow. grow.steps",
        "9 grow.rate = 'fast' | It must be a valid number.",
        "10 grow.device = 'cud' | It must be 'cpu' or 'cuda'. cuda",
        "11 grow.pages = 4 | There is no field pages in grow. gather.pages",
        "12 grow.steps = true | It must be a valid integer.",
        "13 grow.source.pth = 3 | There is no field pth in grow.source. grow.source.path",
        "14 growe = {} | There is no section growe. grow",
        "--set nonsense  = None | An override has the form section.field=value, as in tokenizer.vocab_size=4096.",
        "--set grow.source.weight=0 grow.source.weight = 0 | It must be greater than 0.",
        "--set grow.rat=3 grow.rat = 3 | There is no field rat in grow. grow.rate",
    ]


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("grow.sourze.path=x", "grow.sourze"),
        ("grow.a.b.c=1", "grow.a"),
        ("grow.steps.x=1", "grow.steps"),
        ("gather.sources.0.pth.x=1", "gather.sources.0.pth"),
        ("new.a.b=1", "new"),
    ],
)
def test_a_section_that_an_override_made_up_is_reported_at_the_override(
    tmp_path: Path, override: str, field: str
) -> None:
    path = write(tmp_path / "r.yaml", "gather:\n  sources: [{path: a}]\ngrow:\n  steps: 7\n")
    with pytest.raises(RecipeError) as caught:
        load(path, override)
    (problem,) = caught.value.problems
    assert (problem.place, problem.field) == (f"--set {override}", field)


def test_a_rule_across_fields_names_the_section(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path / "r.yaml", "grow:\n  steps: 13\n"))
    assert problem.startswith("1 grow = ")
    assert "13 steps bring bad luck." in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "This is not valid YAML"),
        ("a: &x 1\nb: *x", "Anchors (&) and aliases (*) are not allowed"),
        ("a: !!python/object/apply:os.system [ls]", "Tags are not allowed"),
        ("[" * 100, "nested deeper"),
        ("{" * 5000, "nested deeper"),
        ("- 1", "A recipe is a mapping of sections"),
        ("just text", "A recipe is a mapping of sections"),
        ("gather: {}\ngather: {}", "already given in line 1"),
        ("? [1, 2]\n: 3", "must be a word"),
        ("grow: {rate: .inf}", "must be finite"),
        ("grow: {rate: .nan}", "must be finite"),
        ("grow: {steps: " + "9" * 200 + "}", "100 digits"),
        ("grow: 5", "section with fields"),
        ("a: 1\n---\nb: 2", "This is not valid YAML"),
        ("#" * 300_000, "256 KB"),
        ("extends: [demo]", "name or path of a recipe"),
        ("extends: nowhere.yaml", "There is no file"),
        ("extends: ~nobody-of-this-name/a.yaml", "There is no file"),
        ("extends: self.yaml", "in a circle"),
        ("schedule: {cron: '61 * * * *'}", "is between 0 and 59"),
        ("schedule: {cron: '* * *'}", "has five fields"),
        ("schedule: {timezone: Europe/Berln}", "nearest is Europe/Berlin"),
        ("name: a b", "match pattern"),
    ],
)
def test_what_is_no_recipe_is_a_sentence(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in " ".join(problems(write(tmp_path / "self.yaml", text)))


@pytest.mark.parametrize("cron", ["0 3 * * *", "*/15 0-6,22 1 jan-mar MON", "5 4 * * 7", "0 0 1,15 * 1-5/2"])
def test_cron_expressions_that_are_right(tmp_path: Path, cron: str) -> None:
    recipe = load(write(tmp_path / "c.yaml", f"schedule: {{cron: '{cron}', timezone: Asia/Tokyo}}"))
    assert recipe.schedule is not None
    assert recipe.schedule.cron == cron


@pytest.mark.parametrize("wanted", ["nosuch", "", "no/such.yaml", "nul\0", "/", "x" * 5000])
def test_a_recipe_that_is_not_there_is_a_sentence(wanted: str) -> None:
    with pytest.raises(RecipeError, match=r"There is no|not a file name|cannot be read"):
        load_as(Toy, wanted)


def test_bytes_that_are_no_text_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_bytes(b"name: \xff\xfe")
    assert problems(path)[0].endswith("The file is not UTF-8 text (byte 6).")


# -- garbage -----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["gather", "grow", "steps", "sources", "source", "path", "0", "schedule", "cron", "extends", "name"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), children, max_size=4)
    ),
    max_leaves=20,
)


def is_recipe_or_recipe_error(path: Path, *overrides: str) -> bool:
    try:
        return isinstance(load(path, *overrides), RecipeBase)
    except RecipeError as error:
        return bool(error.problems) and all(problem.reason for problem in error.problems)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=VALUES,
    overrides=st.lists(st.text(max_size=30) | st.builds("{}.{}={}".format, NAMES, NAMES, VALUES), max_size=3),
)
def test_garbage_is_a_recipe_error_and_never_a_traceback(tmp_path: Path, data: object, overrides: list[str]) -> None:
    import yaml

    path = tmp_path / "garbage.yaml"
    path.write_text(yaml.dump(data), encoding="utf-8", errors="surrogatepass")
    assert is_recipe_or_recipe_error(path, *overrides)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(max_size=200)
    | st.text(alphabet=":-[]{}&*!|>'\"%@`#,? \n\t\\abx01\ud800\u2028", max_size=60).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
)
def test_any_bytes_are_a_recipe_or_a_recipe_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "raw.yaml"
    path.write_bytes(raw)
    assert is_recipe_or_recipe_error(path)


# -- what one section takes over from another --------------------------------------------------------------------------


def test_a_password_in_a_refused_url_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "crawl: {seeds: ['https://me:hunter2@example.org/'], paths: ['https://me:hunter2@example.org/a.jsonl']}\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert "example.org" in str(caught.value)
    assert "hunter2" not in str(caught.value)
