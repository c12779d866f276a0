"""README and docs tell the truth: the recipe reference is up to date, and the example stage works as they say.

Also covers: flows/graph/reference.py
"""

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

from flows.graph.reference import generated

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
STAGES = (ROOT / "docs" / "stages.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_what_is_generated_is_what_the_code_says() -> None:
    old = [path.name for path, text in generated().items() if path.read_text("utf-8") != text]
    assert not old, f"docs/{', docs/'.join(old)}: run `python -m flows.graph.reference`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_names_exists(path: Path) -> None:
    from typer.main import get_command

    from flows.cli.main import app

    verbs = get_command(app).commands  # type: ignore[attr-defined]
    code = re.findall(r"`+[^`]+`+|^    .*$", path.read_text("utf-8"), re.MULTILINE)
    named = {verb for text in code for verb in re.findall(r"(?<![\w=/-])(?:\.venv/bin/)?textmill ([a-z]+)\b", text)}
    assert named <= set(verbs), named - set(verbs)


@pytest.mark.e2e
def test_the_example_stage_runs_as_its_page_says(tmp_path: Path) -> None:
    """Follow docs/stages.md in a copy of the project: one file, three lines, then `textmill run --until words`."""
    copy = tmp_path / "textmill"
    copy.mkdir()
    for folder in ("flows", "tasks", "model", "data_lake", "deployments"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    example = re.search(r"<!-- example: stage -->\n```python\n(.*?)```\n<!-- example: end -->", STAGES, re.DOTALL)
    assert example is not None
    assert len(example[1].splitlines()) <= 45
    (copy / "tasks" / "words").mkdir()
    (copy / "tasks" / "words" / "__init__.py").write_text(example[1], "utf-8")
    unique = "    unique = graph.add(dedup, recipe.dedup, documents, against=earlier)\n"
    tokenize = '    tokenize: TokenizeConfig = Field(TokenizeConfig(), description="how tokens are laid out")\n'
    for name, before, line in (
        ("graph/stages.py", "(crawl, clean,", " words,"),
        ("graph/pipeline.py", unique, "    graph.add(words, recipe.words, unique)\n"),
        (
            "recipe/recipe.py",
            tokenize,
            '    words: WordsConfig = Field(WordsConfig(), description="which words to list")\n',
        ),
    ):
        file = copy / "flows" / name
        text = file.read_text("utf-8")
        assert before in text
        assert line.strip(" ,\n") in STAGES
        text = text.replace(before, before + line)
        imported = "WordsConfig" if name == "recipe/recipe.py" else "words"
        text = text.replace(
            "from tasks.corpus.crawl import", f"from tasks.words import {imported}\nfrom tasks.corpus.crawl import"
        )
        file.write_text(text, "utf-8")

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
        [sys.executable, "-m", "flows.cli.main", "run", str(recipe), "--until", "words"],
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
