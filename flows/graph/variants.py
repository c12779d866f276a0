"""The graph of a recipe with all its variants: one pipeline per variant, with equal nodes shared."""

from __future__ import annotations

from flows.graph.node import Graph
from flows.graph.pipeline import pipeline
from flows.graph.promoted import promoted
from flows.recipe.recipe import Recipe


def graph_of(recipe: Recipe) -> Graph:
    """Return the graph of a recipe with all its variants, in which a node that several have in common occurs once.

    Raises RecipeError if the recipe is to promote a model that it does not have or does not evaluate.
    """
    graph = Graph(tuple(recipe.variants) or ("",))
    for label in graph.variants:
        with graph.variant(label):
            pipeline(recipe.variant(label) if label else recipe, graph)
    if recipe.promote is not None:
        promoted(graph, recipe.promote, recipe.name)
    return graph
