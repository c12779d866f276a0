"""Replay: the recipe of an earlier pipeline run, started by any user of the same MLflow server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from data_lake.store.home import Home
from flows.comparing.runs import PipelineRecord, find_runs, pipeline_runs
from flows.recipe.errors import RecipeError
from flows.recipe.load import load_data
from flows.recipe.recipe import Recipe, merged
from flows.run.pipeline_runs import RECIPE_FILE
from tasks.tracking.mlflow_client import Sender

MAX_BYTES = 16 * 2**20


class ReplayError(Exception):
    """A run's recipe cannot be used; the message is a sentence."""


def recipe_like(wanted: str, overrides: Sequence[str] = (), home: Home | None = None) -> Recipe:
    """Return the recipe of the pipeline run that `wanted` refers to, as in `find_runs`, with `--set` overrides.

    It has all variants of that run; if `wanted` names a variant, it is the recipe of that one only. Raises
    CompareError, ReplayError, RecipeError.
    """
    home = home or Home.from_env()
    runs = find_runs(wanted, pipeline_runs(home))
    run = runs[0]
    named = f"{run.run_id[:8]} ({run.name})"
    data = _recipe_of(run, named, home)
    if len({one.variant for one in runs}) == 1 and run.variant:
        data = _variant_of(data, run.variant)
    try:
        return load_data(data, RECIPE_FILE, f"of the run {named}", overrides)
    except RecipeError as error:
        if all(problem.place != RECIPE_FILE for problem in error.problems):
            raise
        raise ReplayError(
            f"{error}\n\nThe textmill that made the run had other fields. Save {RECIPE_FILE} of the run in MLflow as a "
            ".yaml file, correct what is named here, and run that file."
        ) from error


def _variant_of(data: dict[str, Any], label: str) -> dict[str, Any]:
    """The recipe of one variant, itself without variants: the variant's values would otherwise undo `--set`."""
    variants = data.get("variants")
    changes = variants.get(label) if isinstance(variants, dict) else None
    if not isinstance(changes, dict):
        return data
    return merged({name: value for name, value in data.items() if name != "variants"}, changes)


def _recipe_of(run: PipelineRecord, named: str, home: Home) -> dict[str, Any]:
    sender = Sender(home)
    try:
        text = sender.artifact(run.run_id, RECIPE_FILE)
    except Exception as error:  # whatever mlflow, sqlalchemy or the network raise
        raise ReplayError(
            f"MLflow at {sender.uri} cannot be asked for the recipe of the run {named}: {error}"
        ) from error
    if text is None:
        raise ReplayError(
            f"The run {named} has no {RECIPE_FILE} in MLflow: a textmill made it that did not keep recipes, or it is "
            "still to be sent. Give the recipe itself."
        )
    try:
        data = json.loads(text) if len(text) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ReplayError(f"The {RECIPE_FILE} of the run {named} cannot be read: it is no recipe.")
    return data
