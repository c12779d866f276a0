"""A run's inputs as MLflow datasets: an artifact's name, digest, location, counts, and the roles it was read in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_lake.store.home import Home
from data_lake.store.lake import KEY_LENGTH, Artifact


def datasets_of(inputs: Mapping[str, Artifact], home: Home) -> list[dict[str, str]]:
    """Return a dataset for each artifact of `inputs` (role -> artifact), as plain data for the journal.

    MLflow keeps a dataset once per run, so if an artifact is read in several roles, one dataset lists them all.
    """
    roles: dict[str, list[str]] = {}
    for role, artifact in inputs.items():
        roles.setdefault(artifact.name, []).append(role)
    artifacts = {artifact.name: artifact for artifact in inputs.values()}
    return [_dataset(artifacts[name], home) | {"context": ", ".join(named)} for name, named in roles.items()]


def _dataset(artifact: Artifact, home: Home) -> dict[str, str]:
    profile = {**artifact.counts, "bytes": artifact.manifest.total_bytes}
    return {
        "name": artifact.name,
        "digest": artifact.content[:KEY_LENGTH],
        "source": json.dumps({"uri": _place(artifact, home)}),
        "profile": json.dumps(profile),
    }


def _place(artifact: Artifact, home: Home) -> str:
    """Where the artifact is, without anything specific to one machine, because a home may be moved or copied."""
    if artifact.path.is_relative_to(home.root):
        return artifact.path.relative_to(home.root).as_posix()
    return f"textmill:{artifact.name}"


def to_mlflow(dataset: Mapping[str, Any]) -> Any:
    """Convert a dataset made by `datasets_of` to MLflow's entity."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    return DatasetInput(
        Dataset(dataset["name"], dataset["digest"], "local", dataset["source"], profile=dataset["profile"]),
        [InputTag(MLFLOW_DATASET_CONTEXT, dataset["context"])],
    )
