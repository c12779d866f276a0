"""Checks of the evaluate stage before it runs: the device exists, and windows and choices fit the context."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from data_lake.reading.audit import lineage
from data_lake.store.lake import Artifact, Lake
from model.tokenizer import PATTERNS
from tasks.benchmarks import BenchmarksConfig
from tasks.benchmarks.items import local_items
from tasks.benchmarks.registry import BENCHMARKS
from tasks.corpus.clean.config import CleanConfig
from tasks.evaluation.evaluate.prompts import read_prompts
from tasks.evaluation.evaluate.toxicity import classifier_of
from tasks.stage import PermanentError
from tasks.stage.preflight import Facts, Fault, attempt, device_faults
from tasks.synthetic.questions.config import QuestionsConfig
from tasks.synthetic.questions.preflight import Choices, has_texts, left_out, own_benchmarks
from tasks.training.import_model.config import ImportConfig
from tasks.training.import_model.shape import imported_shape

if TYPE_CHECKING:
    from tasks.evaluation.evaluate.config import EvaluateConfig, ToxicityConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: EvaluateConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be measured."""
    yield from device_faults("evaluate.device", config.device)
    context, field = context_of(facts)
    if context is not None and config.min_context > context:
        yield Fault(
            "evaluate.min_context",
            f"A token cannot be predicted from {config.min_context:,} others at least by a model whose context is "
            f"{context:,} ({field}).",
        )
    if config.toxicity is not None:
        yield from _toxicity(config.toxicity, facts)
    asked = facts.configs.get("questions")
    if not isinstance(asked, QuestionsConfig):
        return
    for field, path, read in own_benchmarks(asked):
        items: list[Choices] = []
        with contextlib.suppress(PermanentError, ValueError, OSError):  # the check of questions reports why
            items = [choices for choices in read() if has_texts(choices)]
        if items:
            fitting = [choices for choices in items if not any(_is_too_long(choice, facts) for choice in choices)]
            yield from left_out(field, path, items, fitting, "longer than the context")
    if isinstance(official := facts.configs.get("benchmarks"), BenchmarksConfig):
        yield from _official(official, facts)


def _toxicity(config: ToxicityConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why continuations cannot be scored."""
    field, cleaned = "evaluate.toxicity.classifier", facts.configs.get("clean")
    if config.trained_by:
        if (trained_by := facts.inputs.get("classifiers")) is not None:
            yield from attempt(field, classifier_of, config, trained_by)
    elif isinstance(cleaned, CleanConfig):
        names = [one.name for one in cleaned.filters.classifiers]
        if config.classifier not in names:
            yield Fault(
                field,
                f"clean trains no classifier {config.classifier!r}: clean.filters.classifiers has "
                f"{', '.join(names) or 'none'}. Add one with examples, or name an artifact in trained_by.",
            )
    context, context_field = context_of(facts)
    if context is not None and config.tokens >= context:
        yield Fault(
            "evaluate.toxicity.tokens",
            f"A continuation of {config.tokens:,} tokens leaves no room for a prompt in a context of {context:,} "
            f"({context_field}).",
        )
    if config.prompts:
        yield from attempt("evaluate.toxicity.prompts", read_prompts, config.prompts, lambda problem: None)


def _official(benchmarks: BenchmarksConfig, facts: Facts) -> Iterator[Fault]:
    """Yield how many items of official benchmarks cannot be asked, as one of their choices is too long."""
    found: dict[str, list[Choices]] = {}
    with contextlib.suppress(PermanentError, ValueError, OSError):  # the check of benchmarks reports why
        for name, item in local_items(benchmarks):
            if BENCHMARKS[name].output in ("choice", "greedy"):
                found.setdefault(name, []).append(item.choices)
    for name, items in found.items():
        fitting = [choices for choices in items if not any(_is_too_long(choice, facts) for choice in choices)]
        yield from left_out(f"questions.benchmarks.{name}", name, items, fitting, "longer than the context")


def context_of(facts: Facts) -> tuple[int | None, str]:
    """Return the context of the models of a recipe in tokens, if it is known, and the field that says it."""
    imported = facts.configs.get("import_model")
    if not isinstance(imported, ImportConfig):
        return facts.value("pretrain.model.max_seq_len"), "pretrain.model.max_seq_len"
    try:
        return imported_shape(imported).max_seq_len, "import_model.max_seq_len"
    except (ValueError, OSError):  # the check of import_model reports why
        return None, "import_model.folder"


def context_field(model: Artifact) -> str:
    """Return the recipe's field that decides the context of a model in the lake."""
    made, _ = lineage(Lake(model.path.parent.parent), [model])
    imported = any(one.stage == "import_model" for one in made)
    return "import_model.max_seq_len" if imported else "pretrain.model.max_seq_len"


def _is_too_long(choice: str, facts: Facts) -> bool:
    """Return whether a choice alone is certainly longer than the context: each piece that the pattern splits text into
    becomes at least one token. The exact number of tokens is not known before the tokenizer exists."""
    context, pattern = context_of(facts)[0], PATTERNS.get(facts.value("tokenizer.pattern") or "")
    if "import_model" in facts.configs:  # the vocabulary is its own, however the recipe splits text
        return False
    if context is None or pattern is None or not _is_learned(facts) or len(choice) <= context:
        return False
    import regex

    return len(regex.findall(pattern, choice)) > context


def _is_learned(facts: Facts) -> bool:
    """Return whether the tokenizer will be learned with the recipe's pattern, and is not one that is there already."""
    return not any(facts.value(f"tokenizer.{name}") for name in ("keep", "ready", "files"))
