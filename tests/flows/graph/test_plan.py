"""flows/graph/plan.py: what a stage says of itself before it runs, once all that it reads is in the lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.graph.node import Graph
from flows.graph.plan import make_plan
from tasks.stage import Output, PermanentError, StageConfig, stage
from tasks.stage.contract import AnyStage
from tests.toy import NumbersConfig, SquaresConfig, numbers, squares


class ShareConfig(StageConfig):
    """How much to read."""

    share: float = 0.5


def show(config: ShareConfig, inputs: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """What the stage will read."""
    if config.share > 1:
        raise PermanentError(f"{config.share} is more than there is.")
    return [{"source": "squares", "tokens": inputs["squares"].counts["squares"], "share": config.share}]


@stage(makes=Artifact, version=1, preview=show)
def reader(config: ShareConfig, out: Output, squares: Artifact) -> None:
    """Read squares."""


STAGES: dict[str, AnyStage] = {"numbers": numbers, "squares": squares, "reader": reader}


def graph(share: float = 0.5) -> Graph:
    made = Graph()
    raised = made.add(squares, SquaresConfig(), made.add(numbers, NumbersConfig()))
    made.add(reader, ShareConfig(share=share), raised)
    return made


@pytest.fixture
def lake() -> Lake:
    return Lake(Home.from_env().lake)


def build(lake: Lake, *names: str) -> None:
    built: dict[str, Artifact] = {}
    for name in names:
        made = STAGES[name]
        built[name] = made.build(lake, made.config_type(), {up: built[up] for up in made.inputs}).artifact


def test_a_preview_needs_what_the_stage_reads(lake: Lake) -> None:
    assert make_plan(graph(), lake).previews == {}
    build(lake, "numbers", "squares")
    plan = make_plan(graph(), lake)
    assert [row.status for row in plan.rows] == ["hit", "hit", "run"]
    expected = {"reader": [{"source": "squares", "tokens": 5, "share": 0.5}]}
    assert plan.previews == plan.to_json()["previews"] == expected
    assert make_plan(graph(), lake, until=["squares"]).previews == {}
    assert make_plan(graph(), lake, ["squares"]).previews == {}, "squares may come out otherwise"
    build(lake, "numbers", "squares", "reader")
    assert make_plan(graph(), lake).previews == expected


def test_what_cannot_work_is_said_in_the_plan(lake: Lake) -> None:
    build(lake, "numbers", "squares")
    plan = make_plan(graph(share=2), lake)
    assert plan.previews == {}
    assert "it would fail: 2.0 is more than there is." in plan.rows[-1].reasons
