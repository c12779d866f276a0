"""flows/graph/promoted.py: which model a recipe promotes is known, or refused, before anything runs.

Also covers: flows/recipe/promote.py
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from flows.graph.promoted import promoted
from flows.graph.variants import graph_of
from flows.recipe.errors import RecipeError
from flows.recipe.promote import PromoteConfig
from flows.recipe.recipe import Recipe

DEPTHS: dict[str, Any] = {label: {"pretrain": {"model": {"n_layer": n}}} for label, n in (("d2", 2), ("d3", 3))}


def chosen(recipe: Recipe) -> tuple[str, str]:
    assert recipe.promote is not None
    model, evaluation = promoted(graph_of(recipe), recipe.promote)
    return model.name, evaluation.name


def test_the_last_model_or_the_one_that_is_named() -> None:
    assert chosen(Recipe(promote={})) == ("sft", "evaluate-sft")
    assert chosen(Recipe(promote={}, sft=None)) == ("pretrain", "evaluate-pretrain")
    assert chosen(Recipe(promote={"node": "pretrain"})) == ("pretrain", "evaluate-pretrain")
    named = Recipe(promote={"node": "sft@d3"}, variants=DEPTHS)
    assert chosen(named) == ("sft@d3", "evaluate-sft@d3")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"promote": {"node": "sft"}, "sft": None}, "There is no stage 'sft'"),
        ({"promote": {"node": "dedup"}}, "It is no model"),
        ({"promote": {}, "evaluate": None}, "sft is not evaluated"),
        ({"promote": {}, "variants": DEPTHS}, "say which one: pretrain@d2, sft@d2, pretrain@d3, sft@d3"),
        ({"promote": {"node": "pretrain"}, "variants": DEPTHS}, "say which one: pretrain@d2, pretrain@d3"),
    ],
)
def test_what_cannot_be_promoted_is_a_mistake_of_the_recipe(recipe: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        graph_of(Recipe(name="mine", **recipe))
    words = " ".join(str(caught.value).split())
    assert said in words
    assert "promote.node" in words


@pytest.mark.parametrize("wrong", [{"metrics": ()}, {"alpha": 0}, {"alpha": 1}, {"must_be": "great"}, {"name": "a/b"}])
def test_values_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PromoteConfig(**wrong)
