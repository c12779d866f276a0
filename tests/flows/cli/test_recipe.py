"""`textmill recipe`: what it prints is the recipe that a run would go by, and a recipe itself."""

from __future__ import annotations

from pathlib import Path

from flows.recipe.load import load_recipe
from tests.terminal import textmill


def test_what_it_prints_is_the_same_recipe_with_one_field_changed(home: Path, tmp_path: Path) -> None:
    plain, changed = textmill("recipe", "demo"), textmill("recipe", "demo", "--set", "sft.training.steps=301")
    lines = zip(plain.splitlines(), changed.splitlines(), strict=True)
    assert [pair for pair in lines if pair[0] != pair[1]] == [("    steps: 100", "    steps: 301")]
    path = tmp_path / "resolved.yaml"
    path.write_text(changed, encoding="utf-8")
    assert load_recipe(path) == load_recipe("demo", ["sft.training.steps=301"])
    assert textmill("recipe", str(path)) == changed


def test_a_recipe_with_mistakes_prints_no_recipe(home: Path) -> None:
    assert "Did you mean sft.training.steps" in textmill("recipe", "demo", "--set", "sft.training.stepz=3", code=2)
