"""Running one stage again: the recipe with changed settings for the stage, and the nodes of the run."""

from __future__ import annotations

from typing import Any

from flows.graph.node import Graph
from flows.recipe.recipe import Recipe, merged
from tasks.stage.config import StageConfig, changed_by


def changed_recipe(recipe: Recipe, stage: str, config: StageConfig, node: str = "") -> Recipe:
    """Return the recipe with the changes that `config` makes to a stage; for a variant's node, in that variant only.

    A form sends all fields, most of them the recipe's own, so only those that differ count as changes. If a config is
    given in part, as by the API, the rest comes from the recipe, not from the defaults of its class.
    """
    held = getattr(recipe, stage)
    label = node.partition("@")[2]
    if held is None:
        held = type(config)()
    given = changed_by(held, config)
    if not label:
        return recipe.model_copy(update={stage: given})
    if label not in recipe.variants:
        return recipe  # the graph reports that there is no such node
    changes = _differing(held.model_dump(mode="json"), given.model_dump(mode="json"))
    variants = {**recipe.variants, label: merged(recipe.variants[label], {stage: changes} if changes else {})}
    return Recipe.model_validate(
        merged(recipe.model_dump(mode="json", exclude_unset=True), {}) | {"variants": variants}
    )


def rerun_scope(graph: Graph, chosen: str, *, downstream: bool) -> list[str]:
    """Return the names of the last nodes of a run of the chosen nodes and, if requested, of those downstream."""
    nodes = graph.select(chosen)
    return [node.name for node in (*nodes, *(graph.downstream(chosen) if downstream else ()))]


def _differing(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if nested := _differing(before, value):
                found[name] = nested
        elif value != before:
            found[name] = value
    return found
