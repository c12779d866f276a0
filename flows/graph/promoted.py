"""Which node's model a recipe wants to promote, and whether it can be: known before anything runs."""

from __future__ import annotations

from flows.graph.node import Graph, Node, UnknownNode
from flows.recipe.errors import Problem, RecipeError
from flows.recipe.promote import PromoteConfig
from tasks.stage import kinds


def promoted(graph: Graph, config: PromoteConfig, recipe: str = "") -> tuple[Node, Node]:
    """Return the node of the model that is to be promoted, and that of its evaluation.

    Raises RecipeError if there is no such model, if there are several, or if it is not evaluated.
    """
    measured = {node.inputs["model"]: node for node in graph.nodes if issubclass(node.kind, kinds.Evaluation)}
    if config.node:
        try:
            chosen = [node for node in graph.select(config.node) if issubclass(node.kind, kinds.Model)]
        except UnknownNode as error:
            raise _mistake(recipe, config, str(error)) from error
    else:
        chosen = [node for node in graph.nodes if issubclass(node.kind, kinds.Model)]
        chosen = chosen[-1:] if len(graph.variants) == 1 else chosen
    if not chosen:
        raise _mistake(recipe, config, "It is no model, and only models can be promoted.")
    if len(chosen) > 1:
        names = ", ".join(node.name for node in chosen)
        raise _mistake(recipe, config, f"Only one model can be promoted; say which one: {names}.")
    if chosen[0] not in measured:
        raise _mistake(
            recipe, config, f"{chosen[0].name} is not evaluated, so that it cannot be compared; give the recipe an "
            "evaluate section whose models are all or have this one."
        )  # fmt: skip
    return chosen[0], measured[chosen[0]]


def _mistake(recipe: str, config: PromoteConfig, reason: str) -> RecipeError:
    return RecipeError(recipe, [Problem(f"recipe {recipe}", "promote.node", reason, repr(config.node))])
