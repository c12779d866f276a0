"""MLflow's model registry: versions of models that lie in the lake, and the alias `champion` of the best one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from tasks.tracking.mlflow_client import MAX_VALUE, Sender
from tasks.tracking.watch import experiment_of, mlflow_run_id, version_tags

T = TypeVar("T")

CHAMPION = "champion"
ARTIFACT = "artifact"  # the tag of a version that names its artifact in the lake
WHY = "textmill.champion"  # the tag of a version that says why it became the champion, or why not


class RegistryError(Exception):
    """MLflow's registry cannot be used; the message is a sentence."""


@dataclass(frozen=True)
class Version:
    """A version of a registered model, and the artifact (`stage/key`) that it is."""

    model: str
    number: str
    artifact: str

    def __str__(self) -> str:
        return f"{self.model} version {self.number}"


class Registry:
    """The registry of the MLflow server that the environment names, or of the home's own database."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._sender = Sender(home)

    def champion(self, model: str) -> Version | None:
        """Return the version of a registered model that has the alias, or None."""
        return self._asked(lambda: self._champion(model))

    def versions(self, artifact: Artifact) -> list[Version]:
        """Return the versions, of any registered model, that are this artifact."""
        return self._asked(lambda: [
            version
            for model in self._sender.client.search_registered_models()
            for version in self._versions(model.name)
            if version.artifact == artifact.name
        ])  # fmt: skip

    def register(self, model: str, artifact: Artifact) -> Version:
        """Return the version of `model` that is this artifact; it is added if it is not there."""

        def registered() -> Version:
            found = self._versions(model) if self._exists(model) else []
            same = [version for version in found if version.artifact == artifact.name]
            return same[0] if same else self._added(model, artifact)

        return self._asked(registered)

    def crown(self, version: Version, why: str) -> None:
        """Make a version the champion of its registered model, and note why."""
        self.note(version, why)
        self._asked(lambda: self._sender.client.set_registered_model_alias(version.model, CHAMPION, version.number))

    def note(self, version: Version, why: str) -> None:
        """Note at a version why it became the champion, or why not."""
        client = self._sender.client
        self._asked(lambda: client.set_model_version_tag(version.model, version.number, WHY, why[:MAX_VALUE]))

    def _champion(self, model: str) -> Version | None:
        if not self._exists(model):
            return None
        number = self._sender.client.get_registered_model(model).aliases.get(CHAMPION)
        return next((one for one in self._versions(model) if one.number == str(number)), None)

    def _exists(self, model: str) -> bool:
        return any(one.name == model for one in self._sender.client.search_registered_models())

    def _versions(self, model: str) -> list[Version]:
        found = self._sender.client.search_model_versions(f"name = '{model}'")
        return [Version(model, str(one.version), one.tags.get(ARTIFACT, "")) for one in found]

    def _added(self, model: str, artifact: Artifact) -> Version:
        tags = version_tags(artifact, Lake(self._home.lake))
        entry = {"name": model, ARTIFACT: artifact.name, "content": artifact.content, "tags": tags}
        run_id = mlflow_run_id(self._home, artifact)
        number = self._sender.model(run_id, entry, experiment=experiment_of(artifact.stage))
        return Version(model, number, artifact.name)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except Exception as error:  # whatever mlflow, sqlalchemy or the network raise
            raise RegistryError(f"MLflow's model registry at {self._sender.uri} cannot be used: {error}") from error


def set_champion(home: Home, artifact: Artifact) -> str:
    """Point the alias `champion` of the artifact's registered model at its version; return `name version N`.

    Raises LookupError with a sentence if the artifact has no registered model.
    """
    registry = Registry(home)
    if not (versions := registry.versions(artifact)):
        raise LookupError(
            f"No registered model belongs to {artifact.name}. Models are registered when pretrain or sft builds them; "
            "`textmill artifacts` lists what is there."
        )
    registry.crown(versions[0], "named by hand")
    return str(versions[0])
