"""Running one stage again: the recipe with the stage's settings changed, and the nodes that the run is about."""

from __future__ import annotations

from typing import Any

from flows.graph.node import Graph
from flows.recipe import Recipe, merged
from tasks.config import StageConfig, changed_by


def changed_recipe(recipe: Recipe, stage: str, config: StageConfig, node: str = "") -> Recipe:
    """Return the recipe with what `config` says differently of a stage; of a variant's node in that variant alone.

    A form sends all fields, of which most are the recipe's own, so only those that differ from it are a change. Of a
    config that is given in part, as by the API, the rest is the recipe's too, and not what its class says.
    """
    held = getattr(recipe, stage)
    label = node.partition("@")[2]
    if held is None:
        held = type(config)()
    given = changed_by(held, config)
    if not label:
        return recipe.model_copy(update={stage: given})
    if label not in recipe.variants:
        return recipe  # that there is no such node is said by the graph
    changes = _differing(held.model_dump(mode="json"), given.model_dump(mode="json"))
    variants = {**recipe.variants, label: merged(recipe.variants[label], {stage: changes} if changes else {})}
    return Recipe.model_validate(
        merged(recipe.model_dump(mode="json", exclude_unset=True), {}) | {"variants": variants}
    )


def rerun_scope(graph: Graph, chosen: str, *, downstream: bool) -> list[str]:
    """Return the names of the last nodes of a run that is about the chosen ones, and about what follows if asked."""
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
