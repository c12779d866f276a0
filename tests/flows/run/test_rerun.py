"""flows/run/rerun.py: one stage again: what of the recipe changes, and which nodes the run is about."""

from __future__ import annotations

import pytest

from flows.graph.variants import graph_of
from flows.recipe.recipe import Recipe
from flows.run.rerun import changed_recipe, rerun_scope

RECIPE = Recipe.model_validate({"variants": {"d2": {"pretrain": {"model": {"n_layer": 2}}}, "d4": {}}})


def test_a_change_goes_to_the_section_or_to_the_variant_alone() -> None:
    form = RECIPE.pretrain.model_copy(update={"training": RECIPE.pretrain.training.model_copy(update={"steps": 9})})
    changed = changed_recipe(RECIPE, "pretrain", form)
    assert changed.pretrain.training.steps == 9
    assert changed.variant("d2").pretrain.model.n_layer == 2
    alone = changed_recipe(RECIPE, "pretrain", form, "pretrain@d2")
    assert alone.pretrain == RECIPE.pretrain
    assert alone.variants["d2"] == {"pretrain": {"model": {"n_layer": 2}, "training": {"steps": 9}}}
    assert alone.variants["d4"] == {}


def test_a_form_that_changed_nothing_changes_nothing() -> None:
    assert changed_recipe(RECIPE, "pretrain", RECIPE.pretrain, "pretrain@d2") == RECIPE
    assert changed_recipe(RECIPE, "pretrain", RECIPE.pretrain) == RECIPE


def test_a_stage_that_is_off_is_turned_on_by_its_own_form() -> None:
    off = Recipe(sft=None)
    assert changed_recipe(off, "sft", RECIPE.configs()["sft"]).sft == RECIPE.sft


@pytest.mark.parametrize(
    ("chosen", "downstream", "has", "lacks"),
    [
        ("pretrain@d2", False, {"pretrain@d2"}, {"sft@d2", "pretrain@d4"}),
        ("pretrain@d2", True, {"pretrain@d2", "sft@d2"}, {"sft@d4", "pretrain@d4"}),
        ("pretrain", False, {"pretrain@d2", "pretrain@d4"}, {"sft@d2"}),
    ],
)
def test_what_a_rerun_is_about(chosen: str, downstream: bool, has: set[str], lacks: set[str]) -> None:
    scope = set(rerun_scope(graph_of(RECIPE), chosen, downstream=downstream))
    assert has <= scope
    assert not lacks & scope
