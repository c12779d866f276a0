"""The program as a user runs it: run, run again, plan, rerun, wrong input; two runs at once on one lake.

Also covers: flows/run/start.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.graph.variants import graph_of
from flows.recipe.load import load_recipe
from tests.e2e.program import TINY, plan, start, statuses, textmill

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the tiny pipeline ran once."""
    folder = tmp_path_factory.mktemp("home")
    result = textmill(folder, "run", str(TINY))
    assert "xz" in result.stderr + result.stdout
    return folder


def test_a_second_run_is_all_cached(home: Path) -> None:
    result = textmill(home, "run", str(TINY))
    assert result.stderr.count(" cached ") == len(graph_of(load_recipe(TINY)).nodes)


def test_a_changed_field_rebuilds_its_stage_and_what_depends(home: Path) -> None:
    changed = (str(TINY), "--set", "pretrain.training.steps=40")
    row = plan(home, *changed)["pretrain"]
    assert row["status"] == "run"
    assert row["reasons"] == ["training.steps: 60 → 40"]
    assert plan(home, *changed)["sft"]["status"] == "depends"
    result = textmill(home, "rerun", "pretrain", *changed)
    assert re.search("pretrain +built", result.stderr)
    assert re.search("tokenize +cached", result.stderr)
    assert "sft" not in result.stderr
    assert statuses(home, *changed)["pretrain"] == "hit"
    assert statuses(home, *changed)["sft"] == "run"
    assert set(statuses(home, str(TINY)).values()) == {"hit"}


def test_two_runs_at_once_build_each_key_once(tmp_path: Path) -> None:
    processes = [start(tmp_path, "run", str(TINY), "--until", "tokenize") for _ in range(2)]
    said = []
    for process in processes:
        _out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        said.append(err)
    for stage in ("crawl", "clean", "dedup", "decontaminate", "tokenizer", "tokenize"):
        built = sum(bool(re.search(rf"{stage} +built", text)) for text in said)
        assert built == 1, (stage, said)


def test_the_verbs_that_read(home: Path) -> None:
    assert "pretrain/" in textmill(home, "artifacts").stdout
    assert "model.safetensors" in textmill(home, "show", "pretrain").stdout
    assert textmill(home, "sql", "SELECT count(*) AS n FROM documents", "--json").stdout.strip()
    assert textmill(home, "generate", "sft", "What does textwrap.dedent do?").stdout.strip()
    assert "pretrain" in textmill(home, "compare", "last~1", "last").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "no-such-recipe"], "no-such-recipe"),
        (["run", "demo", "--set", "pretrain.trainin.steps=3"], "training"),
        (["run", "demo", "--set", "pretrain.training.steps=-3"], "-3"),
        (["run", "demo", "--until", "pretrian"], "pretrain"),
        (["run", "demo", "--force", "nothing"], "nothing"),
        (["rerun", "crwal"], "crawl"),
        (["show", "nothing/1234"], "nothing"),
        (["sql", "SELEC 1"], "SELEC"),
    ],
)
def test_wrong_input_is_a_sentence_and_exit_code_2(home: Path, arguments: list[str], says: str) -> None:
    result = textmill(home, *arguments, code=2)
    assert says in result.stderr
