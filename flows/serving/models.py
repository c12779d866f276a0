"""The models of a server by name: which one answers, and a newer one in the place of an older without losing a text."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_lake.store.lake import Artifact
from flows.serving.errors import ApiError
from tasks.delivery.serving.served import Served

log = logging.getLogger(__name__)
Find = Callable[[str], Artifact | None]
"""Returns the artifact that a name refers to now; None if there is none yet."""
Load = Callable[[Artifact, str], Served]


@dataclass(frozen=True)
class Settings:
    """What a server allows."""

    slots: int = 16
    queue: int = 128
    device: str = "auto"
    max_body_bytes: int = 8 << 20
    patience: float = 60.0
    """Seconds after which a client that reads nothing loses its stream."""
    kv_megabytes: float | None = None
    """Memory of each model for keys and values; None = as `tasks.delivery.serving.engine.kv_megabytes` says."""
    votes: Path | None = None
    """The file of people's votes between two answers; None = they are not kept."""


class Models:
    """The models that are served; `refresh` brings them up to what their names refer to now."""

    def __init__(self, names: Sequence[str] | Callable[[], Sequence[str]], find: Find, load: Load) -> None:
        """`names`: those that are served, or a function that says which they are now."""
        self._names = names if callable(names) else lambda: names
        self._find, self._load = find, load
        self._served: dict[str, Served] = {}
        self._failed: dict[str, str] = {}
        self._lock = threading.Lock()
        self.closing = False

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self._served.values()))

    @property
    def names(self) -> list[str]:
        """The names that are served, whether there is a model for them yet or not."""
        return list(dict.fromkeys(self._names()))

    @property
    def ready(self) -> bool:
        """Whether a model can answer."""
        return bool(self._served) and not self.closing

    def get(self, name: str | None) -> Served:
        """Return the model that a client names, or the first one; raises ApiError."""
        if not self._served:
            raise ApiError(503, self._why_none(), code="no_model", headers={"Retry-After": "5"})
        if name is None:
            return next(iter(self._served.values()))
        found = self._served.get(name) or next((one for one in self if one.artifact.name == name), None)
        if found is None:
            raise ApiError(
                404, f"The model {name[:200]!r} is not served here; there is {', '.join(self._served)}.",
                param="model", code="model_not_found",
            )  # fmt: skip
        return found

    def _why_none(self) -> str:
        names = ", ".join(self.names)
        missing = f"{names} is not in the lake" if names else "the lake has none"
        return " ".join(self._failed.values()) or f"There is no model yet: {missing}. Run a recipe first."

    def refresh(self) -> list[str]:
        """Load what a name refers to now if it is another artifact than before; return what changed, in sentences.

        The older model goes on with the texts it has, and takes no new ones.
        """
        said = []
        with self._lock:
            for name in self.names:
                artifact = self._find(name)
                before = self._served.get(name)
                if artifact is None or self.closing or (before and before.artifact.name == artifact.name):
                    continue
                try:
                    loaded = self._load(artifact, name)
                except Exception as error:  # a model that cannot be loaded must not take the older one's place
                    sentence = f"{artifact.name} cannot be served as {name}: {error}"
                    if self._failed.get(name) != sentence:
                        said.append(sentence)
                    self._failed[name] = sentence
                    continue
                self._failed.pop(name, None)
                self._served = self._in_order({**self._served, name: loaded})
                said.append(f"{name} is {artifact.name} now.")
                if before:
                    threading.Thread(target=before.engine.close, name=f"drain {before.artifact.name}").start()
        return said

    def _in_order(self, served: Mapping[str, Served]) -> dict[str, Served]:
        order = [*self.names, *served]  # a model whose name is gone from the lake goes on
        return {name: served[name] for name in dict.fromkeys(order) if name in served}

    def close(self, seconds: float) -> bool:
        """Take no new texts, and let those that grow end; return whether all did within the time."""
        self.closing = True
        ended = [one.engine.close(seconds) for one in self]  # each of them, also after one that did not
        return all(ended)
