"""`textmill plan` of a recipe with a mix: tokens, weight and epochs of each source before training starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.plan import Plan, Row

MIX = [
    {"name": "wiki", "tokens": 3_000_000, "weight": 0.03, "share": 0.03, "epochs": 3.4, "capped": True},
    {"name": "rest", "tokens": 12, "weight": 0.97, "share": 0.97, "epochs": 0.44, "capped": False},
]


def test_a_mix_is_shown_before_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plan = Plan("demo", (Row("pretrain", "run", ("never built",), None, None),), {"pretrain": MIX})
    monkeypatch.setattr("flows.plan.make_plan", lambda *_: plan)
    shown = CliRunner().invoke(app, ["plan", "demo"], env={"COLUMNS": "150"})
    assert shown.exit_code == 0, shown.output
    assert "what pretrain will read" in shown.output
    (line,) = [line for line in shown.output.splitlines() if "wiki" in line]
    assert line.split() == ["wiki", "3,000,000", "3.00%", "3.00%", "3.40", "yes"]
    as_json = CliRunner().invoke(app, ["plan", "demo", "--json"])
    assert json.loads(as_json.stdout)["previews"] == {"pretrain": MIX}
