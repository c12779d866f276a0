"""The graph of a recipe with all its variants: the same pipeline once for each, and equal nodes shared."""

from __future__ import annotations

from flows.graph.node import Graph
from flows.graph.pipeline import pipeline
from flows.recipe.recipe import Recipe


def graph_of(recipe: Recipe) -> Graph:
    """Return the graph of a recipe with all its variants: what they have in common is one node."""
    graph = Graph(tuple(recipe.variants) or ("",))
    for label in graph.variants:
        with graph.variant(label):
            pipeline(recipe.variant(label) if label else recipe, graph)
    return graph
