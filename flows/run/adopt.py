"""Adopting: keep an artifact under a new key after a user checked that new code or libraries give the same result."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_lake.store.fingerprint import sha256_of
from data_lake.store.lake import Artifact, Lake, Miss
from data_lake.store.manifest import FileEntry, Manifest
from flows.graph.differences import differences, library_changes
from flows.graph.node import Graph, Node
from flows.graph.resolve import Resolver
from tasks.stage.contract import AnyStage
from tasks.stage.libraries import imports_of
from tasks.stage.provenance import provenance

REVIEWED = ("code", "version", "libraries")  # what a person may declare irrelevant to the result


class AdoptError(Exception):
    """There is nothing to adopt, or more than code and libraries changed; the message is a full sentence."""


def adopt_artifact(graph: Graph, name: str, lake: Lake) -> Artifact:
    """Commit under the new key the node's newest artifact that differs only in code and libraries.

    Its content is the same, so artifacts built from it are still hits. Raises AdoptError, UnknownNode.
    """
    node, payload = _wanted(graph, name, lake)
    stage, key = node.stage, sha256_of(payload)
    with lake.building(stage.name, key):
        if isinstance(found := stage.find(lake, key), Artifact):
            raise AdoptError(f"There is nothing to adopt: {found.name} is a hit as it is.")
        old = _newest_alike(stage, payload, lake)
        with lake.reading(old):
            checked = stage.find(lake, old.key, deep=True)
            if isinstance(checked, Miss):
                raise AdoptError(f"{old.name} cannot be adopted: {checked.reason}. `textmill run` builds it again.")
            folder = lake.staging(stage.name, key, fresh=True)
            for name in old.files:
                _link(old.path / name, folder / name)

            def describe(files: dict[str, FileEntry]) -> Manifest:
                return old.manifest.model_copy(
                    update={
                        "key": key,
                        "version": stage.version,
                        "payload": payload,
                        "files": files,
                        "reason": f"adopted from {old.name}: equivalent, reviewed",
                        "adopted_from": old.name,
                        "provenance": provenance(frozenset(imports_of(stage.code))),
                        "finished_at": datetime.datetime.now(datetime.UTC),
                    }
                )

            return lake.commit(folder, describe)


def _wanted(graph: Graph, name: str, lake: Lake) -> tuple[Node, dict[str, Any]]:
    """The node and its current payload; its inputs must be in the lake, or their content must be remembered."""
    chosen = graph.select(name)
    if len(chosen) > 1:
        raise AdoptError(f"{name} is {len(chosen)} nodes: say which, {' or '.join(node.name for node in chosen)}.")
    node = chosen[0]
    decided = Resolver(graph, lake, until=[node.name]).resolve()
    for one in node.inputs.values():
        if decided[one].content is None:
            raise AdoptError(
                f"{node.name} reads {one.name}, which this recipe has not built: adopt or run {one.name} first."
            )
    payload = decided[node].payload
    if payload is None:
        raise AdoptError(f"{node.name} cannot be adopted: {' '.join(decided[node].reasons)}")
    return node, dict(payload)


def _newest_alike(stage: AnyStage, payload: dict[str, Any], lake: Lake) -> Artifact:
    """The newest artifact whose payload is `payload` except for the code and the libraries."""
    same = {name: value for name, value in payload.items() if name not in REVIEWED}
    for artifact in lake.artifacts(stage.name):
        if {name: value for name, value in artifact.manifest.payload.items() if name not in REVIEWED} == same:
            return artifact
    reviewed = {change for artifact in lake.artifacts(stage.name) for change in _libraries(artifact, payload)}
    changed = [
        reason
        for reason in differences(payload, lake.artifacts(stage.name))
        if not reason.startswith("code ") and reason not in reviewed
    ]
    raise AdoptError(
        f"No artifact of {stage.name} differs in code and libraries alone ({'; '.join(changed)}), and nothing else can "
        f"be reviewed: `textmill run --until {stage.name}` builds it."
    )


def _libraries(artifact: Artifact, payload: Mapping[str, Any]) -> list[str]:
    return library_changes(artifact.manifest.payload, payload)


def _link(source: Path, target: Path) -> None:
    """Create a hard link to a file, or a copy if the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
