"""The price of a plan: the seconds and bytes that each build is likely to take, estimated from earlier builds.

An earlier build of the same stage shows how many seconds and bytes a unit of work takes. The work of a build is the
bytes that it reads, or what the stage defines (`work=` in @stage). An unknown price is None, never guessed.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from data_lake.store.fingerprint import canonical
from data_lake.store.lake import Artifact, Lake
from data_lake.store.manifest import ManifestError, read_manifest
from flows.graph.node import AnyNode, Node
from flows.graph.resolve import Decision
from tasks.stage.config import StageConfig, identity
from tasks.stage.contract import AnyStage
from tasks.stage.provenance import hardware
from tasks.stage.work import Work, reading

MOST_SAMPLES = 5
"""The maximum number of a stage's builds used for its price, which is the median of their scaled costs."""
MOST_LOOKED_AT = 40
"""The number of a stage's newest artifacts that are searched for these builds."""


@dataclass(frozen=True)
class Price:
    """The seconds and bytes that builds are likely to take; None if not known."""

    seconds: float | None = None
    bytes: int | None = None


UNKNOWN = Price()


@dataclass(frozen=True)
class Sample:
    """The work of one earlier build, and what it took."""

    work: Work
    seconds: float
    bytes: int


def estimate(work: Work | None, samples: Sequence[Sample]) -> Price:
    """Return the price of some work, estimated from samples of the same stage."""
    if work is None:
        return UNKNOWN
    seconds = _scaled([(sample.seconds, sample.work.seconds) for sample in samples], work.seconds)
    size = _scaled([(sample.bytes, sample.work.bytes) for sample in samples], work.bytes)
    return Price(seconds, None if size is None else round(size))


def _scaled(samples: Sequence[tuple[float, float]], work: float) -> float | None:
    """The median of the samples (amount taken, work), each scaled to `work`."""
    scaled = [taken * (work / done if done else 1.0) for taken, done in samples if done or not work]
    return statistics.median(scaled) if scaled else None


def total(prices: Iterable[Price]) -> Price:
    """Return the sum of the known prices, or None if none is known; the sum of no prices is 0."""
    prices = list(prices)
    seconds = [price.seconds for price in prices if price.seconds is not None]
    sizes = [price.bytes for price in prices if price.bytes is not None]
    return Price(sum(seconds) if seconds or not prices else None, sum(sizes) if sizes or not prices else None)


def prices(decided: Mapping[AnyNode, Decision], lake: Lake) -> dict[AnyNode, Price]:
    """Return the price of each node that a run would build; for a `depends` node, the price if it has to be built."""
    history = _History(lake)
    found: dict[AnyNode, Price] = {}
    sizes: dict[AnyNode, int | None] = {}
    for node, decision in decided.items():
        if isinstance(node, Node) and decision.status in ("run", "depends"):
            known = {role: size for role, one in node.inputs.items() if (size := sizes[one]) is not None}
            work = work_of(node.stage, node.config, known, whole=len(known) == len(node.inputs))
            found[node] = estimate(work, history.samples(node.stage, node.config))
            sizes[node] = found[node].bytes
        else:
            sizes[node] = decision.artifact.manifest.total_bytes if decision.artifact is not None else None
    return found


def work_of(stage: AnyStage, config: StageConfig | None, sizes: Mapping[str, float], *, whole: bool) -> Work | None:
    """Return the work of a build, or None if it is not known; `whole` means that the sizes of all inputs are known."""
    if stage.work is None:
        return reading(sizes) if whole else None
    try:
        return stage.work(config, sizes) if config is not None else None
    except KeyError:  # it depends on an input whose size is not known
        return None


class _History:
    """What the builds in the lake took. Reads manifests only, and each of them once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._builds: dict[str, list[tuple[Artifact, Sample]]] = {}
        self._sizes: dict[tuple[str, str], int | None] = {}

    def samples(self, stage: AnyStage, config: StageConfig) -> list[Sample]:
        """Return the stage's newest builds that are most comparable to one on this machine with this config."""
        builds = self._of(stage)
        same_machine, same_config = _on_this_machine, _with_config(identity(config))
        choices = (
            [build for build in builds if same_machine(build[0]) and same_config(build[0])],
            [build for build in builds if same_machine(build[0])],
            builds,
        )
        return [sample for _, sample in next((some for some in choices if some), [])[:MOST_SAMPLES]]

    def _of(self, stage: AnyStage) -> list[tuple[Artifact, Sample]]:
        if stage.name not in self._builds:
            artifacts = self._lake.artifacts(stage.name)[:MOST_LOOKED_AT]
            found = [(artifact, self._sample(stage, artifact)) for artifact in artifacts]
            self._builds[stage.name] = [(artifact, sample) for artifact, sample in found if sample is not None]
        return self._builds[stage.name]

    def _sample(self, stage: AnyStage, artifact: Artifact) -> Sample | None:
        manifest = artifact.manifest
        known = {role: self._size(entry.stage, entry.key) for role, entry in manifest.inputs.items()}
        sizes = {role: size for role, size in known.items() if size is not None}
        config = _config_of(stage, manifest.payload.get("config"))
        work = work_of(stage, config, sizes, whole=len(sizes) == len(manifest.inputs))
        return None if work is None else Sample(work, manifest.seconds, manifest.total_bytes)

    def _size(self, stage: str, key: str) -> int | None:
        """The bytes of an artifact, or None if the lake no longer has it."""
        if (stage, key) not in self._sizes:
            self._sizes[stage, key] = None
            with contextlib.suppress(ManifestError, OSError):
                self._sizes[stage, key] = read_manifest(self._lake.path(stage, key)).total_bytes
        return self._sizes[stage, key]


def _config_of(stage: AnyStage, given: Any) -> StageConfig | None:
    """The config of an earlier build, or None if the stage's fields have changed since."""
    try:
        config: StageConfig = stage.config_type.model_validate_json(json.dumps(given))
    except ValidationError:
        return None
    return config


def _on_this_machine(artifact: Artifact) -> bool:
    here = hardware()
    return all(artifact.manifest.provenance.get(name) == value for name, value in here.items())


def _with_config(wanted: Mapping[str, Any]) -> Callable[[Artifact], bool]:
    plain = canonical(wanted)
    return lambda artifact: artifact.manifest.payload.get("config") == plain
