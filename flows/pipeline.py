"""The pipeline flow: crawl → clean → dedup → decontaminate → tokenizer → … → evaluate, each stage a task."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

from prefect import flow

from flows.graph import STAGES
from flows.recipe import Recipe
from flows.runner import PipelineRun
from tasks.clean import clean
from tasks.crawl import crawl
from tasks.decontaminate import decontaminate
from tasks.dedup import dedup
from tasks.evaluate import evaluate
from tasks.pretrain import pretrain
from tasks.sft import sft
from tasks.tokenize import tokenize
from tasks.tokenizer import tokenizer

if TYPE_CHECKING:
    StageName = str
else:
    StageName = Literal[tuple(STAGES)]  # the choices of the form in Prefect's UI


@flow(name="pipeline", log_prints=False)
def pipeline(config: Recipe = Recipe(), until: StageName | None = None, force: list[StageName] = []) -> None:  # noqa: B006, B008
    """Run the whole pipeline, from the crawl to the evaluated model.

    Args:
        config: the recipe: one section for each stage
        until: the last stage to run; empty for all
        force: stages to rebuild even if the lake has them
    """
    grow(config, until, force)


def grow(recipe: Recipe, until: str | None = None, force: Collection[str] = ()) -> None:
    """Run the graph inside the current flow run. A stage that the lake has is `Cached`; others are built."""
    with PipelineRun(recipe, until, force) as run:
        while run.unsettled():
            pages = run(crawl)
            documents = run(clean, pages)
            unique = run(dedup, documents)
            corpus = run(decontaminate, unique)
            vocabulary = run(tokenizer, corpus)
            tokens = run(tokenize, corpus, vocabulary)
            base = run(pretrain, tokens, vocabulary)
            chat = run(sft, corpus, vocabulary, base)
            run(evaluate, corpus, vocabulary, base, chat)
