"""Artifacts that a config names as `stage/<key>`: the lake must have them, intact, or the stage fails."""

from __future__ import annotations

from data_lake.store import Artifact, Lake, Miss
from tasks.stage import PermanentError


def referenced_artifact(lake: Lake, name: str, *, field: str, stage: str) -> Artifact:
    """Return the artifact of `stage` that a config's `field` names.

    Raises PermanentError if there is none, or several, or if it is damaged.
    """
    there = [artifact for artifact in lake.find(name) if artifact.stage == stage]
    if len(there) != 1:
        known = ", ".join(artifact.name for artifact in lake.artifacts(stage)[:5]) or "none"
        raise PermanentError(
            f"{field} names {name}, but the lake has {len(there)} such artifacts. The newest of this stage: {known}."
        )
    artifact = lake.lookup(there[0].stage, there[0].key)
    if isinstance(artifact, Miss):
        raise PermanentError(
            f"{field} names {name}, which is damaged: {artifact.reason}. Build it again, or leave it out."
        )
    return artifact
