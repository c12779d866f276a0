"""The pipeline: the graph of a recipe. It runs nothing."""

from __future__ import annotations

from flows.graph.agreed import decontaminate_config, questions_config
from flows.graph.node import Graph
from flows.recipe import Recipe
from tasks import kinds
from tasks.clean import clean
from tasks.crawl import crawl
from tasks.decontaminate import decontaminate
from tasks.dedup import dedup
from tasks.evaluate import evaluate
from tasks.pretrain import pretrain
from tasks.questions import questions
from tasks.sft import sft
from tasks.tokenize import tokenize
from tasks.tokenizer import tokenizer


def pipeline(recipe: Recipe, graph: Graph) -> None:
    """Add the nodes of one recipe, or of one variant of it."""
    documents = graph.add(clean, recipe.clean, graph.add(crawl, recipe.crawl))
    earlier = [graph.pinned(kinds.Documents, name, "dedup.against") for name in recipe.dedup.against]
    unique = graph.add(dedup, recipe.dedup, documents, against=earlier)
    corpus = graph.add(decontaminate, decontaminate_config(recipe), unique)
    if recipe.tokenizer.keep:
        vocabulary = graph.pinned(kinds.Tokenizer, recipe.tokenizer.keep, "tokenizer.keep")
    else:
        vocabulary = graph.add(tokenizer, recipe.tokenizer, corpus)
    tokens = graph.add(tokenize, recipe.tokenize, corpus, vocabulary)
    models = [graph.add(pretrain, recipe.pretrain, tokens, vocabulary)]
    if recipe.sft:
        models.append(graph.add(sft, recipe.sft, corpus, models[-1]))
    if recipe.evaluate:
        asked = graph.add(questions, questions_config(recipe), corpus)
        for model in models:
            graph.add(evaluate, recipe.evaluate, model, asked)
