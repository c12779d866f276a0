"""The model server as a process: finds its models, keeps them up to date, and answers until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.servers.proxies import LOOPBACK
from flows.serving.app import build_app
from flows.serving.guards import Guards
from flows.serving.models import Models, Settings
from flows.serving.sources import Sources
from tasks.delivery.serving.served import Served
from tasks.retrieval.answering import answers_best
from tasks.stage import kinds

log = logging.getLogger(__name__)
REFRESH_SECONDS = 5.0
MAX_CONNECTIONS = 2048


@dataclass(frozen=True)
class Address:
    """Where the server listens, and who may ask."""

    host: str = LOOPBACK[0]
    origins: tuple[str, ...] = ()
    keys: tuple[str, ...] = field(default=(), repr=False)


def find_model(home: Home, name: str) -> Artifact | None:
    """Return the model that a name refers to now: a stage (its newest), stage/key, or NAME@champion of the registry."""
    lake = Lake(home.lake)
    if name.endswith("@champion"):
        from tasks.tracking.registry import Registry

        version = Registry(home).champion(name.removesuffix("@champion"))
        if version is None:
            return None
        name = version.artifact
    return next((one for one in lake.find(name) if is_served(one)), None)


def find_index(home: Home, name: str) -> Artifact | None:
    """Return the index of pages that a name refers to now: the newest one, or stage/key."""
    found = Lake(home.lake).find(name)
    return next((one for one in found if one.manifest.kind == kinds.Index.__name__), None)


def serve(
    names: Sequence[str] | None,
    listener: socket.socket,
    address: Address,
    settings: Settings,
    *,
    home: Home,
    drain_seconds: float = 30.0,
    echo: Callable[[str], None] = print,
    refresh_seconds: float = REFRESH_SECONDS,
    index: str = "index",
) -> None:
    """Serve the models until SIGTERM or SIGINT; texts that grow then may end within `drain_seconds`.

    Without `names`, the newest model of each stage is served as soon as there is one. `index` names the index of pages
    that answers may come from: the newest, or stage/key.
    """

    def load(artifact: Artifact, name: str) -> Served:
        return Served(
            artifact, name, device=settings.device, slots=settings.slots, queue=settings.queue,
            kv_megabytes=settings.kv_megabytes,
        )  # fmt: skip

    models = Models(names or (lambda: default_names(home)), lambda name: find_model(home, name), load)
    sources = Sources(lambda: find_index(home, index))
    for sentence in (*models.refresh(), *sources.refresh()):
        echo(sentence)
    stopping = threading.Event()
    fresh = (models, sources, stopping, refresh_seconds, echo)
    threading.Thread(target=_keep_fresh, args=fresh, daemon=True).start()
    port = listener.getsockname()[1]
    local = frozenset(f"{host}:{port}" for host in (*LOOPBACK, "[::1]")) if address.host in LOOPBACK else None
    app = Guards(
        build_app(models, settings, sources),
        keys=address.keys,
        hosts=local,
        origins=address.origins,
        max_body_bytes=settings.max_body_bytes,
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # a path says nothing, and a prompt must not enter a log
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 << 10,
        server_header=False,
    )
    try:
        _Server(config).run(sockets=[listener])
    finally:
        stopping.set()
        models.close(0 if not drain_seconds else 1)


class _Server(uvicorn.Server):
    """A server for which SIGTERM and SIGINT are an orderly end: uvicorn's own raises the signal again afterwards."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let the signals end the server, as long as it runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _keep_fresh(
    models: Models, sources: Sources, stopping: threading.Event, seconds: float, echo: Callable[[str], None]
) -> None:
    while not stopping.wait(seconds):
        for refresh in (models.refresh, sources.refresh):
            with contextlib.suppress(Exception):  # a registry that does not answer now, a lake that is being moved
                for sentence in refresh():
                    echo(sentence)


def default_names(home: Home) -> list[str]:
    """Return the stages of which the lake has models that write texts: first the one that answers best from pages, if
    that was measured, then the one that was trained last."""
    lake = Lake(home.lake)
    names = list(dict.fromkeys(one.stage for one in lake.artifacts() if is_served(one)))
    best = answers_best(lake)
    return sorted(names, key=lambda name: name != best)


def is_served(artifact: Artifact) -> bool:
    """Whether an artifact is a decoder: encoders write no texts."""
    from tasks.training.trained import config_of

    return artifact.manifest.kind == kinds.Model.__name__ and config_of(artifact).network not in (
        "encoder", "encoder-decoder",
    )  # fmt: skip


def votes_of(home: Home) -> Path:
    """Return the file in which people's votes between two answers are kept."""
    return home.root / "votes.jsonl"
