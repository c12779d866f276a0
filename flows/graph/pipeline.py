"""The pipeline: builds the graph of a recipe and runs nothing."""

from __future__ import annotations

from flows.graph.agreed import benchmarks_config, decontaminate_config, questions_config, teacher_config
from flows.graph.node import Graph, comes_from, maker_of
from flows.recipe.recipe import Recipe
from tasks.benchmarks import benchmarks
from tasks.compression.distil import distil
from tasks.compression.quantise import quantise
from tasks.compression.teacher import teacher
from tasks.corpus.clean import clean
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.decontaminate import decontaminate
from tasks.corpus.dedup import dedup
from tasks.corpus.pairs import pairs
from tasks.corpus.tokenize import tokenize
from tasks.corpus.tokenizer import tokenizer
from tasks.delivery.export import export
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.evaluate_encoder import evaluate_encoder
from tasks.evaluation.judge import judge
from tasks.evaluation.memorisation import memorisation
from tasks.retrieval.ask import ask
from tasks.retrieval.index import index
from tasks.stage import kinds
from tasks.synthetic.questions import questions
from tasks.training.classify import classify
from tasks.training.dpo import dpo
from tasks.training.grpo import grpo
from tasks.training.import_model import import_model
from tasks.training.ppo import ppo
from tasks.training.preferences import preferences
from tasks.training.pretrain import pretrain
from tasks.training.reference import reference
from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.reward import reward
from tasks.training.seq2seq import seq2seq
from tasks.training.sft import sft


def pipeline(recipe: Recipe, graph: Graph) -> None:
    """Add the nodes of one recipe, or of one variant of it."""
    models = [graph.add(import_model, recipe.import_model)] if recipe.import_model else []
    vocabulary = tokens = corpus = None
    answering: list[kinds.Model] = []
    if recipe.crawl:
        corpus = _corpus(recipe, graph, recipe.crawl)
        if recipe.pretrain:
            base = models[-1] if models else None
            vocabulary = _vocabulary(recipe, graph, corpus, base)
            tokens = graph.add(tokenize, recipe.tokenize, corpus, vocabulary)
            models.append(graph.add(pretrain, recipe.pretrain, tokens, vocabulary, base))
    if recipe.classify:
        graph.add(classify, recipe.classify, models[-1], None if recipe.classify.data else corpus)
    if corpus is not None:
        if recipe.pretrain and recipe.pretrain.model.network == "encoder":
            if recipe.evaluate_encoder:
                graph.add(evaluate_encoder, recipe.evaluate_encoder, models[-1], corpus)
            models = []  # what follows is for models that write texts
        else:
            words, measured = vocabulary, tokens
            students: list[kinds.Model] = []
            replayed = recipe.sft is not None and recipe.sft.replay > 0
            if (recipe.distil or recipe.quantise or replayed) and tokens is None:
                words = _vocabulary(recipe, graph, corpus, models[-1])
                measured = graph.add(tokenize, recipe.tokenize, corpus, words)
            if recipe.distil and words is not None and measured is not None:
                known = graph.add(teacher, teacher_config(recipe, recipe.distil), models[-1], measured)
                students = [graph.add(distil, recipe.distil, known, measured, words)]
            answering = _taught_and_asked(recipe, graph, corpus, models, students, measured)
    if recipe.pairs:
        both = graph.add(pairs, recipe.pairs)
        if recipe.seq2seq:
            words = _vocabulary(recipe, graph, both) if vocabulary is None else vocabulary
            graph.add(seq2seq, recipe.seq2seq, both, words)
    if recipe.memorisation and tokens is not None:
        for model in models:
            graph.add(memorisation, recipe.memorisation, model, tokens)
    if recipe.index and corpus is not None:
        passages = graph.add(index, recipe.index, corpus)
        if recipe.ask:
            wanted = recipe.ask.models
            for model in _taught(models, answering):
                if not wanted or maker_of(model) in wanted:
                    graph.add(ask, recipe.ask, model, passages)
    if recipe.judge and models:
        named = recipe.judge.against
        other = graph.pinned(kinds.Model, named, "judge.against") if named else None
        for model in models if recipe.judge.data else answering:
            graph.add(judge, recipe.judge, model, other)
    if recipe.export:
        for model in models:
            graph.add(export, recipe.export, model, corpus)


def _taught_and_asked(
    recipe: Recipe,
    graph: Graph,
    corpus: kinds.Corpus,
    models: list[kinds.Model],
    students: list[kinds.Model],
    tokens: kinds.Tokens | None,
) -> list[kinds.Model]:
    """Add the models that the last one becomes to the list, and what all of them are asked.

    Returns those that have held-out instructions of their own.
    """
    answering: list[kinds.Model] = []
    if recipe.sft:
        answering = [graph.add(sft, recipe.sft, corpus, models[-1], tokens if recipe.sft.replay else None)]
        models += answering
    scored = _preferring(recipe, graph, corpus, models) if recipe.preferences else None
    if recipe.grpo:
        models.append(graph.add(grpo, recipe.grpo, models[-1], *_asked_for(recipe.grpo, corpus, scored)))
    if recipe.ppo:
        models.append(graph.add(ppo, recipe.ppo, models[-1], *_asked_for(recipe.ppo, corpus, scored)))
    last = models[-1:]
    models += students
    if recipe.quantise and tokens is not None:
        for model in [one for one in models if maker_of(one) in recipe.quantise.of] or last:
            models.append(graph.add(quantise, recipe.quantise, model, tokens))
    if recipe.evaluate:
        asked = graph.add(questions, questions_config(recipe), corpus, _official(recipe, graph))
        classifiers = _classifiers(recipe, graph)
        wanted = recipe.evaluate.models
        for model in models:
            if not wanted or maker_of(model) in wanted:
                graph.add(evaluate, recipe.evaluate, model, asked, classifiers)
    return answering


def _taught(models: list[kinds.Model], answering: list[kinds.Model]) -> list[kinds.Model]:
    """Return the models that answer: those that sft made, and what became of them; all, if an imported one may."""
    return [one for one in models if comes_from(one, answering)] if answering else models


def _asked_for(
    config: ReinforcementConfig, corpus: kinds.Corpus, scored: kinds.RewardModel | None
) -> tuple[kinds.Corpus | None, kinds.RewardModel | None]:
    """Return what a stage that learns from rewards reads: no pages if it has files, a reward model if it weighs it."""
    return None if config.data else corpus, scored if config.rewards.model else None


def _classifiers(recipe: Recipe, graph: Graph) -> kinds.Documents | None:
    """Return what holds the classifier that scores what models write; None if that is not asked for."""
    scored = recipe.evaluate.toxicity if recipe.evaluate else None
    if scored is None or recipe.crawl is None:
        return None
    if scored.trained_by:
        return graph.pinned(kinds.Documents, scored.trained_by, "evaluate.toxicity.trained_by")
    return _cleaned(recipe, graph, recipe.crawl)


def _cleaned(recipe: Recipe, graph: Graph, source: CrawlConfig) -> kinds.Documents:
    named = [one.trained_by for one in recipe.clean.filters.classifiers if one.trained_by]
    networks = [graph.pinned(kinds.Classifier, name, "clean.filters.classifiers") for name in named]
    return graph.add(clean, recipe.clean, graph.add(crawl, source), classifiers=networks)


def _preferring(
    recipe: Recipe, graph: Graph, corpus: kinds.Corpus | None, models: list[kinds.Model]
) -> kinds.RewardModel | None:
    """Add what is learned from pairs of answers: a model of rewards, which is returned, and one that prefers the
    better ones, which joins the models."""
    assert recipe.preferences is not None
    base = models[-1]
    pairs = graph.add(preferences, recipe.preferences, None if recipe.preferences.data else corpus)
    scores = graph.add(reward, recipe.reward, base, pairs) if recipe.reward else None
    if recipe.dpo:
        before = graph.add(reference, recipe.reference, base, pairs) if recipe.dpo.needs_reference else None
        models.append(graph.add(dpo, recipe.dpo, base, pairs, before))
    return scores


def _corpus(recipe: Recipe, graph: Graph, source: CrawlConfig) -> kinds.Corpus:
    """Add what becomes of crawled pages until they can be learned from."""
    documents = _cleaned(recipe, graph, source)
    earlier = [graph.pinned(kinds.Documents, name, "dedup.against") for name in recipe.dedup.against]
    unique = graph.add(dedup, recipe.dedup, documents, against=earlier)
    return graph.add(decontaminate, decontaminate_config(recipe), unique, _official(recipe, graph))


def _official(recipe: Recipe, graph: Graph) -> kinds.Benchmarks | None:
    """Add the official benchmarks that models are asked, which must not be learned; None if there are none."""
    config = benchmarks_config(recipe)
    return graph.add(benchmarks, config) if config else None


def _vocabulary(recipe: Recipe, graph: Graph, corpus: kinds.Corpus, base: kinds.Model | None = None) -> kinds.Tokenizer:
    """Return the vocabulary that the recipe keeps, or add one: that of the base, or one learned from the corpus."""
    if recipe.tokenizer.keep:
        return graph.pinned(kinds.Tokenizer, recipe.tokenizer.keep, "tokenizer.keep")
    return graph.add(tokenizer, recipe.tokenizer, corpus, base)
