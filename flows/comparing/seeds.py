"""Seeds: which evaluations are of models that differ in nothing but the fields called `seed` of their recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_lake.store.fingerprint import canonical_json, sha256_of
from data_lake.store.lake import Artifact
from tasks.stage import kinds

SEED = "seed"


class SeedFamilies:
    """The evaluations of a lake, by what they would be without seeds."""

    def __init__(self, artifacts: Sequence[Artifact]) -> None:
        """artifacts: all of the lake, newest first."""
        self._by_name = {artifact.name: artifact for artifact in artifacts}
        self._keys: dict[str, str] = {}
        self._evaluations = [one for one in artifacts if one.manifest.kind == kinds.Evaluation.__name__]

    def of(self, evaluation: Artifact) -> list[Artifact]:
        """Return this evaluation and those of the same model from other seeds, on the same questions; itself first."""
        key = self._of_evaluation(evaluation)
        others = [one for one in self._evaluations if one.name != evaluation.name and self._of_evaluation(one) == key]
        return [evaluation, *others]

    def alike(self, one: Artifact, other: Artifact) -> bool:
        """Whether two models, or two evaluations, differ in nothing but seeds."""
        return self._of(one) == self._of(other)

    def _of_evaluation(self, evaluation: Artifact) -> str:
        questions = evaluation.manifest.inputs.get("questions")
        return canonical_json([self._of(evaluation), questions.content if questions else None])

    def _of(self, artifact: Artifact) -> str:
        """Return a digest of everything that made an artifact, without seeds, from the crawl on."""
        if artifact.name not in self._keys:
            payload = artifact.manifest.payload
            inputs = {
                role: self._of(self._by_name[entry.name]) if entry.name in self._by_name else entry.content
                for role, entry in artifact.manifest.inputs.items()
            }
            rest = {name: value for name, value in payload.items() if name != "inputs"}
            self._keys[artifact.name] = sha256_of({**rest, "config": _without_seeds(rest.get("config")), "of": inputs})
        return self._keys[artifact.name]


def is_seed(field: str) -> bool:
    """Whether a field, such as `training.seed`, is a seed."""
    return field.rpartition(".")[2] == SEED


def _without_seeds(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {name: _without_seeds(value) for name, value in config.items() if not is_seed(name)}
    if isinstance(config, list):
        return [_without_seeds(value) for value in config]
    return config
