"""The README tells the truth: its recipe reference is up to date, and its example stage works as it says."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.reference import with_reference

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_recipe_reference_is_what_the_configs_say() -> None:
    assert with_reference(README) == README, "run `python -m flows.reference`"


def test_every_command_that_the_readme_names_exists() -> None:
    from typer.main import get_command

    from flows.cli import app

    verbs = get_command(app).commands  # type: ignore[attr-defined]
    named = set(re.findall(r"textmill ([a-z]+)\b", README)) - {"is", "grows", "run", "exists", "and"}
    spoken = {word for word in named if re.search(rf"`[^`]*textmill {word}\b|bin/textmill {word}\b", README)}
    assert spoken <= set(verbs), spoken - set(verbs)


def test_pictures_exist() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path


@pytest.mark.e2e
def test_the_example_stage_runs_as_the_readme_says(tmp_path: Path) -> None:
    """Follow the README in a copy of the project: one file, two lines, then `textmill run --until words`."""
    copy = tmp_path / "textmill"
    copy.mkdir()
    for folder in ("flows", "tasks", "model", "data_lake", "deployments"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    example = re.search(r"<!-- example: stage -->\n```python\n(.*?)```\n<!-- example: end -->", README, re.DOTALL)
    assert example is not None
    assert len(example[1].splitlines()) <= 45
    (copy / "tasks" / "words").mkdir()
    (copy / "tasks" / "words" / "__init__.py").write_text(example[1], "utf-8")
    graph = copy / "flows" / "graph.py"
    text = graph.read_text("utf-8")
    text = text.replace("from tasks.tokenizer import", "from tasks.words import words\nfrom tasks.tokenizer import")
    graph.write_text(text.replace("sft, evaluate)", "sft, evaluate, words)"), "utf-8")
    pipeline = copy / "flows" / "pipeline.py"
    text = pipeline.read_text("utf-8")
    text = text.replace("from tasks.tokenizer import", "from tasks.words import words\nfrom tasks.tokenizer import")
    line = "            vocabulary = run(tokenizer, corpus)\n"
    assert line in text
    pipeline.write_text(text.replace(line, f"{line}            run(words, unique)\n"), "utf-8")

    pages = tmp_path / "pages"
    pages.mkdir()
    for number, name in enumerate(("LICENSE", "README.md", "heapq", "contextlib", "difflib")):
        # real prose, which the filters of clean let pass
        path = ROOT / name
        text = path.read_text("utf-8")[:6000] if path.exists() else inspect.getdoc(importlib.import_module(name)) or ""
        (pages / f"{number}.txt").write_text(text, "utf-8")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"crawl:\n  paths: ['{pages}/*.txt']\nwords:\n  top: 3\n", "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_LOGGING_TO_API_ENABLED"}
    environment |= {"PYTHONPATH": str(copy), "TEXTMILL_HOME": str(tmp_path / "home")}
    run = subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", str(recipe), "--until", "words"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    (found,) = (tmp_path / "home" / "lake" / "words").glob("*/words.json")
    top = json.loads(found.read_text("utf-8"))
    assert len(top) == 3
