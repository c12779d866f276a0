"""A living model server in this process, with a model that chats and one that continues texts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import torch
import uvicorn

from data_lake.store.lake import Artifact, Lake
from flows.servers.connect import listen, url_of
from flows.serving.app import build_app
from flows.serving.guards import Guards
from flows.serving.models import Models, Settings
from flows.serving.sources import Sources
from tasks.delivery.serving.served import Served
from tasks.retrieval.index import IndexConfig, index
from tasks.training.trained import CHAT_TEMPLATE
from tests.flows.cli.untrained import untrained
from tests.live_up import eventually
from tests.tasks.retrieval.lakes import TextsConfig, decontaminate

CONTEXT = 1024
SETTINGS = Settings(slots=4, queue=8, device="cpu", max_body_bytes=1 << 20, patience=3.0)
KEY = "sk-test"


@dataclass
class Living:
    """A server that answers, the models behind it, and a client."""

    url: str
    models: Models
    client: httpx.Client
    votes: Path


def load(artifact: Artifact, name: str) -> Served:
    return Served(artifact, name, device="cpu", slots=SETTINGS.slots, queue=SETTINGS.queue)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    home = tmp_path_factory.mktemp("home")
    return {
        "chat": untrained(home, CHAT_TEMPLATE, context=CONTEXT),
        "base": untrained(home, context=CONTEXT),
    }


@pytest.fixture(scope="module")
def pages(artifacts: dict[str, Artifact]) -> Artifact:
    """An index of some texts, in the lake of the models."""
    lake = Lake(home_of(artifacts["chat"]) / "lake")
    corpus = decontaminate.build(lake, TextsConfig(), {}).artifact
    return index.build(lake, IndexConfig(passage_words=12, workers=1), {"corpus": corpus}).artifact


@pytest.fixture(scope="module")
def server(
    artifacts: dict[str, Artifact], pages: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Living]:
    votes = tmp_path_factory.mktemp("votes") / "votes.jsonl"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other make so small a model slow
    models = Models(["chat", "base"], artifacts.get, load)
    models.refresh()
    sources = Sources(lambda: pages)
    sources.refresh()
    listener = listen("127.0.0.1", 0)
    host = url_of(listener).removeprefix("http://")
    app = Guards(
        build_app(models, replace(SETTINGS, votes=votes), sources), hosts=frozenset({host}), origins=["https://page.test"],
        max_body_bytes=SETTINGS.max_body_bytes,
    )  # fmt: skip
    uvicorn_server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
    thread.start()
    eventually(lambda: uvicorn_server.started, 30, "the server listens")
    with httpx.Client(base_url=f"http://{host}", timeout=60, trust_env=False) as client:
        yield Living(f"http://{host}", models, client, votes)
    uvicorn_server.should_exit = True
    thread.join(30)
    models.close(10)
    torch.set_num_threads(threads)


@pytest.fixture
def idle(server: Living) -> Iterator[Living]:
    """The server; afterwards nothing that the test started may still grow."""
    yield server
    eventually(
        lambda: all(one.engine.load.running == one.engine.load.waiting == 0 for one in server.models), 20, "idle"
    )


def home_of(artifact: Artifact) -> Path:
    return artifact.path.parent.parent.parent
