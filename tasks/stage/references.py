"""Artifacts that a recipe names as `stage/<key>`, which must be in the lake, intact and of the right kind."""

from __future__ import annotations

from typing import TypeVar

from data_lake.store.lake import Artifact, Lake, Miss
from tasks.stage import kinds
from tasks.stage.errors import PermanentError
from tasks.stage.roles import of_kind

K = TypeVar("K", bound=Artifact)


def referenced_artifact(lake: Lake, name: str, kind: type[K], field: str) -> K:
    """Return the artifact that a recipe's `field` names.

    Raises PermanentError if there is none, or several, or if it is damaged or of another kind.
    """
    stage, _, prefix = name.strip("/").partition("/")
    there = lake.find(name) if prefix else []
    if len(there) != 1:
        known = ", ".join(artifact.name for artifact in lake.artifacts(stage or None)[:5]) or "none"
        raise PermanentError(
            f"{field} names {name}, but the lake has {len(there)} such artifacts. The newest of this stage: {known}."
        )
    found = lake.lookup(there[0].stage, there[0].key)
    if isinstance(found, Miss):
        raise PermanentError(
            f"{field} names {name}, which is damaged: {found.reason}. Build it again, or leave it out."
        )
    made = getattr(kinds, found.manifest.kind or "", None)
    if made is not None and not issubclass(made, kind):
        raise PermanentError(f"{field} names {name}, which is a {made.__name__} and no {kind.__name__}.")
    return of_kind(kind, found)
