"""Promoting a model: asks the champion the same questions, compares, and moves the alias in MLflow, or says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from data_lake.store.locks import locked
from flows.comparing import runs as pipeline
from flows.comparing.promotion import Ruling, require_metrics, ruling
from flows.comparing.runs import CompareError, find_run
from flows.graph.stages import STAGES
from flows.recipe.promote import PromoteConfig
from flows.recipe.recipe import merged
from tasks.stage import kinds
from tasks.tracking.registry import Registry, Version
from tasks.tracking.watch import Tracker, TrackingWatch


@dataclass(frozen=True)
class Candidate:
    """A model that may become a champion: its newest evaluation, and the registered model whose version it is.

    name: empty if neither a run nor the config tells it.
    """

    model: Artifact
    evaluation: Artifact
    name: str = ""


def candidate_of(wanted: str, home: Home) -> Candidate:
    """Return the model that `wanted` refers to: an artifact, or a pipeline run (the last model that it evaluated).

    Raises CompareError.
    """
    lake = Lake(home.lake)
    artifacts = lake.artifacts()
    if "/" in wanted or (lake.find(wanted) and wanted in STAGES):
        found = lake.find(wanted)
        models = [one for one in found if one.manifest.kind == kinds.Model.__name__]
        if not models:
            known = ", ".join(one.name for one in artifacts if one.manifest.kind == kinds.Model.__name__)[:300]
            raise CompareError(f"The lake has no model {wanted!r}; it has {known or 'no model at all'}.")
        if len(models) > 1 and "/" in wanted:
            raise CompareError(f"{wanted!r} could be {' or '.join(one.name for one in models[:5])}: give more of it.")
        return Candidate(models[0], _evaluation(models[0], artifacts))
    record = find_run(wanted, pipeline.pipeline_runs(home))
    by_name = {one.name: one for one in artifacts}
    made = [by_name[name] for name in record.artifacts.values() if name in by_name]
    measured = {entry.name for one in made if (entry := one.manifest.inputs.get("model")) is not None}
    models = [one for one in made if one.manifest.kind == kinds.Model.__name__]
    evaluated = [one for one in models if one.name in measured] or models
    if not evaluated:
        raise CompareError(f"The run {record.name} {record.run_id[:8]} made no model, or this lake does not have it.")
    model = max(evaluated, key=lambda one: (_depth(one, by_name), one.manifest.finished_at))
    recipe = record.recipe_name.partition(" until ")[0]
    return Candidate(model, _evaluation(model, artifacts), f"{recipe}-{model.stage}")


def promote(
    candidate: Candidate,
    config: PromoteConfig,
    home: Home,
    tracker: Tracker,
    *,
    logger: logging.Logger | logging.LoggerAdapter,
    tags: Mapping[str, Any],
    measuring: Callable[[Callable[[], Artifact]], Artifact] = lambda build: build(),
) -> tuple[Ruling, Version]:
    """Compare a model with the champion and move the alias if it may; return the ruling and the model's version.

    measuring: runs the function that evaluates the champion, if that has to be done. Promotions of one home wait for
    each other. Raises CompareError, RegistryError.
    """

    def measure(champion: Artifact, like: Artifact) -> Artifact:
        return measuring(lambda: evaluated_like(champion, like, home, tracker, logger, tags))

    home.ensure()
    with locked(home.run / "promote.lock"):
        registry = Registry(home)
        known = [one.model for one in registry.versions(candidate.model)]
        name = config.name or candidate.name or next(iter(known), f"textmill-{candidate.model.stage}")
        champion = registry.champion(name)
        found = ruling(
            candidate.model, candidate.evaluation, champion.artifact if champion else None, config, home, measure
        )
        version = registry.register(name, candidate.model)
        if found.promoted:
            registry.crown(version, found.why)
        else:
            registry.note(version, found.why)
    return found, version


def evaluated_like(
    model: Artifact,
    like: Artifact,
    home: Home,
    tracker: Tracker,
    logger: logging.Logger | logging.LoggerAdapter,
    tags: Mapping[str, Any],
) -> Artifact:
    """Evaluate a model exactly as another was: with the config of the evaluation `like`, on what that one read."""
    stage, lake = STAGES[like.stage], Lake(home.lake)
    by_name = {one.name: one for one in lake.artifacts()}
    inputs = {"model": model}
    for role, entry in like.manifest.inputs.items():
        if role != "model":
            if entry.name not in by_name:
                raise FileNotFoundError(f"{entry.name}, which {like.name} read, is not in the lake any more.")
            inputs[role] = by_name[entry.name]
    config = stage.config_type.model_validate(merged(like.manifest.payload["config"], like.manifest.execution))
    watch = TrackingWatch(tracker, logger=logger, tags=tags, node=f"{stage.name}-champion", terminal=True)
    return stage.build(lake, config, inputs, watch=watch, why="to compare the champion with a new model").artifact


def _evaluation(model: Artifact, artifacts: list[Artifact]) -> Artifact:
    """Return the newest evaluation of a model; raises CompareError if there is none."""
    for one in artifacts:
        entry = one.manifest.inputs.get("model")
        measures = entry is not None and (entry.stage, entry.content) == (model.stage, model.content)
        if measures and one.manifest.kind == kinds.Evaluation.__name__:
            return one
    raise CompareError(
        f"{model.name} has no evaluation in this lake, so that it cannot be compared: `textmill run` with its recipe "
        "evaluates it, or `textmill champion` names it by hand."
    )


def _depth(model: Artifact, by_name: Mapping[str, Artifact]) -> int:
    """Return how many models a model was trained from, one after the other: the last one of a run has the most."""
    deepest = 0
    for entry in model.manifest.inputs.values():
        before = by_name.get(entry.name)
        if before is not None and before.manifest.kind == kinds.Model.__name__:
            deepest = max(deepest, 1 + _depth(before, by_name))
    return deepest


def check_wanted(wanted: str, config: PromoteConfig, home: Home) -> None:
    """Raise CompareError if there is no such model to promote, or if it lacks a metric, before any server starts."""
    require_metrics(candidate_of(wanted, home).evaluation, config)
