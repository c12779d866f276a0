"""The flow of one stage: what its form leaves out is what the recipe says."""

from __future__ import annotations

from typing import Any

import pytest

from flows.recipe.load import load_recipe
from flows.run import flows


def test_a_config_that_is_partly_given_changes_that_part_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[Any] = []
    monkeypatch.setattr(flows, "run_graph", lambda _, recipe, *rest: grown.append(recipe))
    recipe = load_recipe("demo", ["sft.training.eps=1e-7"])
    flow = flows.STAGE_FLOWS["sft"]
    # as the server's API passes it on: plain data, of which the deployment's own `config` was replaced
    values = flow.validate_parameters(
        {"config": {"training": {"steps": 301}}, "recipe": recipe.model_dump(mode="json")}
    )
    flow.fn(**values)
    assert grown[0] == load_recipe("demo", ["sft.training.eps=1e-7", "sft.training.steps=301"])
    flow.fn(recipe.config("sft"), recipe=recipe)
    assert grown[1] == recipe


def test_the_form_of_a_stage_is_its_own_and_not_that_of_the_whole_recipe() -> None:
    """Prefect's server checks each form when `up` starts, and answers nobody meanwhile."""
    form = flows.STAGE_FLOWS["sft"].parameters
    assert form.properties["config"]["$ref"].endswith("/SftConfig")
    assert form.properties["recipe"]["type"] == "object"
    assert "Recipe" in flows.pipeline.parameters.definitions
    assert "Recipe" not in form.definitions
