"""flows/run/pools.py: without a server that keeps running there is nothing to deploy to; tests/e2e deploys for real.

Also covers: flows/cli/deploy.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.recipe.recipe import Recipe
from flows.run.deployments import deployments
from tests.terminal import textmill


def test_a_server_that_ends_with_the_command_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    said = textmill("deploy", "demo", code=2)
    assert "set PREFECT_API_URL to yours, or start `textmill up` first" in said


def test_a_recipe_with_a_mistake_deploys_nothing(home: Path) -> None:
    assert "Did you mean pretrain" in textmill("deploy", "demo", "--set", "pretrian.steps=1", code=2)


def test_the_form_of_a_stage_that_is_off_starts_with_its_defaults() -> None:
    made = {deployment.full_name: deployment for deployment in deployments(Recipe(sft=None))}
    assert made["stage-sft/rerun"].parameters["config"]["samples"] == Recipe().configs()["sft"].samples  # type: ignore[attr-defined]
    assert made["pipeline/nightly"].parameters["config"]["sft"] is None
