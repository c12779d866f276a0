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


def test_forms_start_with_the_recipe_and_that_of_a_stage_that_is_off_with_its_defaults() -> None:
    recipe = Recipe(sft=None, promote={"metrics": ["hellaswag_acc_norm"]})  # type: ignore[arg-type]
    made = {deployment.full_name: deployment for deployment in deployments(recipe)}
    assert made["stage-sft/rerun"].parameters["config"]["samples"] == Recipe().configs()["sft"].samples  # type: ignore[attr-defined]
    assert made["pipeline/nightly"].parameters["config"]["sft"] is None
    assert made["promote/promote"].parameters["config"]["metrics"] == ["hellaswag_acc_norm"]
    assert made["promote/promote"].entrypoint == "flows.run.verdicts.promote"
    assert made["compare/compare"].parameters == {"subjects": ["last~1", "last"]}
