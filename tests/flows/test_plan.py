"""flows/plan.py: what a stage says of itself before it runs, once all that it reads is in the lake.

Also covers: flows/graph.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from data_lake.home import Home
from data_lake.store import Artifact, Lake
from flows.plan import make_plan
from flows.recipe import recipe_type
from tasks.stage import Output, PermanentError, StageConfig, stage
from tests.toy import numbers, squares


class ShareConfig(StageConfig):
    """How much to read."""

    share: float = 0.5


def show(config: ShareConfig, upstream: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """What the stage will read."""
    if config.share > 1:
        raise PermanentError(f"{config.share} is more than there is.")
    return [{"source": "squares", "tokens": upstream["squares"].counts["squares"], "share": config.share}]


@stage(makes=Artifact, version=1, preview=show)
def reader(config: ShareConfig, out: Output, squares: Artifact) -> None:
    """Read squares."""


GRAPH = {"numbers": numbers, "squares": squares, "reader": reader}
RECIPE = recipe_type(GRAPH)


@pytest.fixture
def lake() -> Lake:
    return Lake(Home.from_env().lake)


def build(lake: Lake, *names: str) -> None:
    built: dict[str, Artifact] = {}
    for name in names:
        made = GRAPH[name]
        built[name] = made.build(lake, made.config_type(), {up: built[up] for up in made.upstream}).artifact


def test_a_preview_needs_what_the_stage_reads(lake: Lake) -> None:
    assert make_plan(RECIPE(), lake, graph=GRAPH).previews == {}
    build(lake, "numbers", "squares")
    plan = make_plan(RECIPE(), lake, graph=GRAPH)
    assert [row.status for row in plan.rows] == ["hit", "hit", "run"]
    expected = {"reader": [{"source": "squares", "tokens": 5, "share": 0.5}]}
    assert plan.previews == plan.to_json()["previews"] == expected
    assert make_plan(RECIPE(), lake, until="squares", graph=GRAPH).previews == {}
    assert make_plan(RECIPE(), lake, ["squares"], graph=GRAPH).previews == {}, "squares may come out otherwise"
    build(lake, "numbers", "squares", "reader")
    assert make_plan(RECIPE(), lake, graph=GRAPH).previews == expected


def test_what_cannot_work_is_said_in_the_plan(lake: Lake) -> None:
    build(lake, "numbers", "squares")
    plan = make_plan(RECIPE.model_validate({"reader": {"share": 2}}), lake, graph=GRAPH)
    assert plan.previews == {}
    assert "it would fail: 2.0 is more than there is." in plan.rows[-1].reasons
