"""flows/recipe/recipe.py: sections, optional ones, and variants: the same recipe with some fields changed.

Also covers: flows/recipe/explain.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.recipe.errors import RecipeError
from flows.recipe.load import load_recipe
from flows.recipe.recipe import Recipe, merged
from flows.recipe.yaml import to_yaml

VARIANTS = """\
extends: demo
pretrain: {training: {steps: 7}}
variants:
  small: {pretrain: {model: {n_layer: 2}}, sft: null}
  wide:
    pretrain:
      model: {d_ff: 512}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "v.yaml"
    path.write_text(VARIANTS)
    return path


def test_a_variant_is_the_recipe_with_its_fields_changed(path: Path) -> None:
    recipe = load_recipe(path, ["variants.wide.pretrain.model.n_layer=3"])
    small, wide = recipe.variant("small"), recipe.variant("wide")
    assert (small.pretrain.model.n_layer, small.pretrain.training.steps, small.sft) == (2, 7, None)
    assert (wide.pretrain.model.n_layer, wide.pretrain.model.d_ff) == (3, 512)
    assert small.variants == wide.variants == {}
    assert small.crawl == wide.crawl == recipe.crawl
    with pytest.raises(KeyError):
        recipe.variant("large")


def test_what_a_variant_says_itself_is_not_set_for_the_whole_recipe_in_silence(path: Path) -> None:
    with pytest.raises(RecipeError, match=r"set variants\.wide\.pretrain\.model\.d_ff instead"):
        load_recipe(path, ["pretrain.model.d_ff=64"])
    with pytest.raises(RecipeError, match=r"set variants\.small\.sft instead"):
        load_recipe(path, ["sft=null"])
    assert load_recipe(path, ["pretrain.training.steps=3"]).variant("wide").pretrain.training.steps == 3
    changed = load_recipe(path, ["variants.wide.pretrain.model.d_ff=64"])
    assert changed.variant("wide").pretrain.model.d_ff == 64


def test_a_recipe_with_variants_comes_back_from_every_form_that_it_takes(path: Path) -> None:
    recipe = load_recipe(path)
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    again = path.with_name("again.yaml")
    again.write_text(to_yaml(recipe.model_dump(mode="json")))
    assert load_recipe(again) == recipe
    assert load_recipe(again).variant("small") == recipe.variant("small").model_copy(
        update={"name": recipe.name, "description": recipe.description}
    )


@pytest.mark.parametrize(
    ("text", "place", "field", "reason"),
    [
        ("small: {pretrain: {model: {layers: 2}}}", ":2", "variants.small.pretrain.model.layers", "no field layers"),
        ("small: {pretrain: {training: {steps: none}}}", ":2", "variants.small.pretrain.training.steps", "integer"),
        ("small: {pretrian: {}}", ":2", "variants.small.pretrian", "no section pretrian"),
        ("small: {clean: null}", ":2", "variants.small.clean", "section"),
        ("'a@b': {}", "", "variants", "label"),
        ("small: {name: x}", "", "variants", "what the whole recipe says"),
        ("small: 3", ":2", "variants.small", "It must be"),
    ],
)
def test_a_mistake_in_a_variant_is_said_with_its_line(
    tmp_path: Path, text: str, place: str, field: str, reason: str
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"variants:\n  {text}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    (problem,) = caught.value.problems
    assert problem.place.endswith(place)
    assert problem.field.startswith(field)
    assert reason in problem.reason


def test_a_mistake_of_the_recipe_itself_is_said_once_and_not_for_each_variant(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("pretrain: {training: {steps: 0}}\nvariants: {a: {}, b: {sft: {samples: -1}}}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert [problem.field for problem in caught.value.problems] == ["pretrain.training.steps", "variants.b.sft.samples"]


def test_variants_from_elsewhere_are_checked_too() -> None:
    with pytest.raises(ValidationError, match=r"the variant a is not a recipe: sft\.samples"):
        Recipe.model_validate({"variants": {"a": {"sft": {"samples": -1}}}})


def test_merging_goes_to_every_depth_and_a_list_replaces_a_list() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    assert merged(old, {"a": {"c": [3]}, "d": {"e": 1}}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 1}}
    assert merged(old, {"a": None}) == {"a": None, "d": None}
    assert old == {"a": {"b": 1, "c": [1, 2]}, "d": None}


def test_a_section_that_follows_another_one_is_null_until_it_says_something_itself(path: Path) -> None:
    """What null stands for is said by the graph (flows/graph/agreed.py); the recipe stays as it was written."""
    recipe = load_recipe(path, ["decontaminate.detection.words=8", "questions.hellaswag=mine.jsonl"])
    assert (recipe.decontaminate.hellaswag, recipe.questions.contamination) == (None, None)
    own = ["decontaminate.detection.words=8", "questions.contamination.max_documents=5"]
    contamination = load_recipe(path, own).questions.contamination
    assert contamination is not None
    assert (contamination.words, contamination.max_documents) == (8, 5)
