"""flows/serving/models.py: a newer model takes a name over, and the older one ends what it began."""

from __future__ import annotations

import threading

import pytest

from data_lake.store.lake import Artifact
from flows.serving.errors import ApiError
from flows.serving.models import Models
from tasks.delivery.serving.engine import EngineStopped, Piece
from tasks.delivery.serving.served import Served, Wanted
from tests.flows.serving.conftest import load
from tests.live_up import eventually


def test_a_newer_model_takes_over_without_losing_a_text(artifacts: dict[str, Artifact]) -> None:
    current = {"champion": artifacts["base"]}
    models = Models(["champion"], current.get, load)
    assert models.refresh() == [f"champion is {artifacts['base'].name} now."]
    before = models.get(None)
    told: list[Piece | Exception] = []
    ended = threading.Event()

    def tell(news: Piece | Exception) -> None:
        told.append(news)
        if isinstance(news, Exception) or news.finish:
            ended.set()

    before.submit([before.text_ids("x")], Wanted(800, temperature=0), tell)
    current["champion"] = artifacts["chat"]
    assert models.refresh() == [f"champion is {artifacts['chat'].name} now."]
    assert models.refresh() == []
    assert models.get("champion").artifact.name == artifacts["chat"].name
    eventually(lambda: not before.engine.accepts, 10, "the older model takes nothing new")
    with pytest.raises(EngineStopped):
        before.submit([before.text_ids("x")], Wanted(1), tell)
    assert ended.wait(30)
    assert all(isinstance(piece, Piece) for piece in told)
    assert sum(len(piece.ids) for piece in told if isinstance(piece, Piece)) == 800
    assert models.close(10)
    assert not models.ready


def test_a_model_that_cannot_be_loaded_leaves_the_older_one_in_place(artifacts: dict[str, Artifact]) -> None:
    current = {"it": artifacts["base"]}

    def sometimes(artifact: Artifact, name: str) -> Served:
        if artifact is artifacts["chat"]:
            raise ValueError("its weights are damaged")
        return load(artifact, name)

    models = Models(["it", "none"], current.get, sometimes)
    with pytest.raises(ApiError) as none_yet:
        models.get("it")
    assert none_yet.value.status == 503
    models.refresh()
    current["it"] = artifacts["chat"]
    assert "damaged" in models.refresh()[0]
    assert models.refresh() == []  # said once
    assert models.get("it").artifact is artifacts["base"]
    with pytest.raises(ApiError) as unknown:
        models.get("none")
    assert unknown.value.status == 404
    models.close(10)
