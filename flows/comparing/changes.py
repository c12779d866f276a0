"""What differs between subjects besides scores: the fields of the recipe by node, the data's ledger, and the cost."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_lake.reading.audit import Row, ledger_rows
from data_lake.reading.ledger import Ledger
from data_lake.store.fingerprint import sha256_of
from data_lake.store.home import Home
from data_lake.store.lake import Artifact
from flows.comparing.subjects import Subject
from flows.graph.stages import STAGES
from tasks.stage.config import flatten
from tasks.tracking.watch import mlflow_run_id

GPU = re.compile(r"system/gpu_\d+_(utilization_percentage|memory_usage_megabytes|power_usage_watts)")
SPEEDS = ("tokens_per_second", "peak_memory_gib", "mfu")


@dataclass(frozen=True)
class Field:
    """A field of the recipe, the code or the artifact of a node, as text; a value is None where a subject lacks it."""

    node: str
    name: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Entry:
    """An entry of a stage's ledger for each subject: what came in, was removed for a reason, rewritten, or kept."""

    stage: str
    entry: str
    values: tuple[Row | None, ...]


@dataclass(frozen=True)
class Cost:
    """What the build of a node took, in the unit that the name ends with; None where it is not known."""

    node: str
    name: str
    values: tuple[float | None, ...]


def recipe_changes(subjects: Sequence[Subject]) -> list[Field]:
    """Return the fields that differ, in the order of the pipeline, with code and libraries where these differ."""
    if all(subject.record is not None for subject in subjects):
        fields = [dict(subject.record.parameters) for subject in subjects if subject.record is not None]
    else:
        fields = [_configs(subject) for subject in subjects]
    found = [
        Field(name.partition(".")[0], name.partition(".")[2], values)
        for name in _names(fields)
        if len(set(values := tuple(one.get(name) for one in fields))) > 1
    ]
    return sorted([*found, *_code_changes(subjects)], key=lambda field: _place(field.node))


def artifact_changes(subjects: Sequence[Subject]) -> list[Field]:
    """Return the nodes whose artifacts differ, also of artifacts that only MLflow knows."""
    named = [
        dict(subject.record.artifacts)
        if subject.record is not None
        else {node: one.name for node, one in subject.artifacts.items()}
        for subject in subjects
    ]
    found = [Field(node, "artifact", tuple(one.get(node) for one in named)) for node in _names(named)]
    return sorted((one for one in found if len(set(one.values)) > 1), key=lambda field: _place(field.node))


def data_changes(subjects: Sequence[Subject]) -> list[Entry]:
    """Return the ledger's entries that differ in documents, bytes or tokens."""
    ledgers = [dict(_entries(subject)) for subject in subjects]
    keys = sorted(_names(ledgers), key=lambda key: _place(key[0]))
    found = [Entry(stage, label, tuple(one.get((stage, label)) for one in ledgers)) for stage, label in keys]
    return [entry for entry in found if len({_amounts(row) for row in entry.values}) > 1]


def _amounts(row: Row | None) -> tuple[int, int, int | None] | None:
    return None if row is None else (row.documents, row.bytes, row.tokens)


def costs(subjects: Sequence[Subject], home: Home) -> list[Cost]:
    """Return what the artifacts of each subject took to build, also those that a run found in the lake, and the sum.

    Speeds, peak memory and GPU metrics come from MLflow; they are left out where it cannot be asked.
    """
    asked = _asking(home)
    found = [{key: value for node, one in subject.artifacts.items() for key, value in _cost(node, one, asked)}
             for subject in subjects]  # fmt: skip
    lines = [Cost(node, name, tuple(one.get((node, name)) for one in found)) for node, name in _names(found)]
    lines = sorted((one for one in lines if len(set(one.values)) > 1), key=lambda line: _place(line.node))
    sums = tuple(
        sum(artifact.manifest.seconds for artifact in subject.artifacts.values()) if subject.artifacts else None
        for subject in subjects
    )
    return [*lines, Cost("all", "seconds", sums)]


def machines(subjects: Sequence[Subject]) -> list[str]:
    """Return a sentence for each stage that other hardware built: its seconds and speeds cannot be compared."""
    said = []
    for node in _names([subject.artifacts for subject in subjects]):
        used = [_hardware(one) for subject in subjects if (one := subject.artifacts.get(node)) is not None]
        if len(set(used)) > 1:
            said.append(f"{node} was built on different machines ({' and '.join(dict.fromkeys(used))}).")
    return said


def _configs(subject: Subject) -> dict[str, str]:
    """Return the fields of everything that made a model, from the manifests of its artifacts."""
    found: dict[str, str] = {}
    for node, artifact in subject.artifacts.items():
        for name, value in flatten(artifact.manifest.payload.get("config") or {}).items():
            found[f"{node}.{name}"] = value if isinstance(value, str) else json.dumps(value)
    return found


def _code_changes(subjects: Sequence[Subject]) -> Iterator[Field]:
    """Yield a line for each node whose code, version or libraries differ between artifacts that the lake has."""
    for node in _names([subject.artifacts for subject in subjects]):
        made = [subject.artifacts.get(node) for subject in subjects]
        for name, read in _OF_PAYLOAD.items():
            values = tuple(None if one is None else read(one.manifest.payload) for one in made)
            if len({value for value in values if value is not None}) > 1:
                yield Field(node, name, values)


_OF_PAYLOAD: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "code": lambda payload: f"{sha256_of(payload.get('code'))[:8]} (version {payload.get('version')})",
    "libraries": lambda payload: ", ".join(
        f"{name} {found}" for name, found in (payload.get("libraries") or {}).items()
    ),
}


def _entries(subject: Subject) -> Iterator[tuple[tuple[str, str], Row]]:
    for artifact in subject.artifacts.values():
        if artifact.manifest.ledger is not None:
            ledger = Ledger.from_dict(artifact.manifest.ledger)
            counted = "" if ledger.counts == "documents" else f" ({ledger.counts})"
            for row in ledger_rows(artifact.stage, ledger):
                yield (artifact.stage, f"{row.label}{counted}"), row


def _cost(
    node: str, artifact: Artifact, asked: Callable[[Artifact], Mapping[str, float]]
) -> Iterator[tuple[tuple[str, str], float]]:
    yield (node, "seconds"), artifact.manifest.seconds
    yield (node, "bytes"), float(artifact.manifest.total_bytes)
    for name, value in asked(artifact).items():
        yield (node, name), value


def _asking(home: Home) -> Callable[[Artifact], Mapping[str, float]]:
    """Return a function that asks MLflow for the speeds and GPU metrics of the run that built a model."""
    from tasks.stage import kinds
    from tasks.tracking.mlflow_client import Sender

    sender = Sender(home)
    reachable = sender.uri != home.mlflow_uri or home.mlflow_db.exists()  # a query would create the database

    def asked(artifact: Artifact) -> Mapping[str, float]:
        nonlocal reachable
        run_id = mlflow_run_id(home, artifact)
        if not reachable or run_id is None or artifact.manifest.kind != kinds.Model.__name__:
            return {}
        with contextlib.suppress(Exception):  # whatever mlflow, sqlalchemy or the network raise
            return _speeds(sender.client, run_id)
        reachable = False
        return {}

    return asked


def _speeds(client: Any, run_id: str) -> dict[str, float]:
    """Return the last speeds of a run and, over its GPUs and its whole time, the mean of each GPU metric."""
    metrics = client.get_run(run_id).data.metrics
    found = {name: metrics[name] for name in SPEEDS if name in metrics}
    gpu: dict[str, list[float]] = {}
    for name in metrics:
        if (match := GPU.fullmatch(name)) is not None:
            gpu.setdefault(f"gpu_{match[1]}", []).extend(one.value for one in client.get_metric_history(run_id, name))
    return found | {name: sum(values) / len(values) for name, values in gpu.items() if values}


def _hardware(artifact: Artifact) -> str:
    made = artifact.manifest.provenance
    gpus = ", ".join(made.get("gpus") or ())
    return f"{made.get('platform', 'unknown')}, {made.get('cpu_count', '?')} CPUs{f', {gpus}' if gpus else ''}"


def _names(mappings: Sequence[Mapping[Any, Any]]) -> list[Any]:
    """Return the keys of all mappings, in the order in which they first stand."""
    return list(dict.fromkeys(key for one in mappings for key in one))


def _place(node: str) -> int:
    """Return a node's place in the pipeline."""
    order = list(STAGES)
    stage = node.partition("@")[0].partition("-")[0]
    return order.index(stage) if stage in order else len(order)
