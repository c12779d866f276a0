"""`textmill plan` and `adopt`: what they print for people and programs, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.graph.plan import Plan, Row
from flows.recipe.load import load_recipe
from tests.terminal import data, textmill

MIX = [
    {"name": "wiki", "tokens": 3_000_000, "weight": 0.03, "share": 0.03, "epochs": 3.4, "capped": True},
    {"name": "rest", "tokens": 12, "weight": 0.97, "share": 0.97, "epochs": 0.44, "capped": False},
]


def test_a_plan_for_an_empty_lake(home: Path) -> None:
    found = data("plan", "demo")
    # the demo's model is a decoder, its loss over preferences needs no reference, nothing is distilled
    on = [stage for stage in load_recipe("demo").configs() if stage not in ("evaluate_encoder", "reference", "teacher")]
    assert list(dict.fromkeys(row["stage"] for row in found["nodes"])) == on
    assert found["nodes"][0]["status"] == "run"
    assert not home.exists()
    shown = textmill("plan", "demo")
    assert "plan for the recipe demo" in shown
    assert all(stage in shown for stage in on)


def test_a_plan_goes_as_far_as_it_is_asked(home: Path) -> None:
    stages = [row["stage"] for row in data("plan", "demo", "--until", "dedup", "--force", "clean")["nodes"]]
    assert stages == ["crawl", "clean", "dedup"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "--until", "dedupe"], "Did you mean dedup?"),
        (["plan", "--set", "dedup.threshold=2"], "--set dedup.threshold=2"),
        (["plan", "--set", "dedup.threshold.x=1"], "--set dedup.threshold.x=1"),
        (["plan", "--set", "=1"], "section.field=value"),
        (["adopt", "clean"], "clean"),
        (["adopt", "clean", "nosuch"], "There is no recipe"),
    ],
)
def test_what_is_refused(home: Path, arguments: list[str], words: str) -> None:
    assert words in textmill(*arguments, code=1 if arguments == ["adopt", "clean"] else 2)


def test_a_mix_is_shown_before_it_is_read(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    plan = Plan("demo", (Row("pretrain", "pretrain", "run", ("never built",), None, None),), {"pretrain": MIX})
    monkeypatch.setattr("flows.graph.plan.make_plan", lambda *_: plan)
    shown = textmill("plan", "demo")
    assert "what pretrain will read" in shown
    (line,) = [line for line in shown.splitlines() if "wiki" in line]
    assert line.split() == ["wiki", "3,000,000", "3.00%", "3.00%", "3.40", "yes"]
    assert data("plan", "demo")["previews"] == {"pretrain": MIX}
