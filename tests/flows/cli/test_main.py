"""The command line as a program: help of every verb, exit codes, clean stdout, no traceback, quick."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.recipe.load import load_recipe

ROOT = Path(__file__).resolve().parents[3]
VERBS = [
    "run",
    "plan",
    "recipe",
    "rerun",
    "up",
    "artifacts",
    "show",
    "ledger",
    "sample",
    "sql",
    "compare",
    "generate",
    "adopt",
    "promote",
    "champion",
]


def textmill(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "100", **environment},
        stdin=subprocess.DEVNULL,
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Wrong usage: exit 2, words on stderr, nothing on stdout, no traceback."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_help_names_every_verb_and_loads_little() -> None:
    # of the processor, not of the clock: the machine may be busy with other things, which makes its cores slower too
    assert min(_processor_seconds("--help") for _ in range(3)) < 1.5
    done = textmill("--help")
    assert done.returncode == 0
    assert all(re.search(rf"^.? {verb}\b", done.stdout, re.M) for verb in VERBS)


def _processor_seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert textmill(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_examples(verb: str) -> None:
    done = textmill(verb, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert f"$ textmill {verb}" in done.stdout


def test_the_recipe_fields_in_the_examples_exist() -> None:
    for verb in ("run", "plan", "rerun"):
        for override in re.findall(r"--set (\S+)", textmill(verb, "--help").stdout):
            if "=" in override:
                load_recipe("demo", [override])


def test_version() -> None:
    assert re.fullmatch(r"textmill \d+\.\d+\S*\n", textmill("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plam"], ["plam", "Did you mean", "plan"]),
        (["--nonsense"], ["--nonsense"]),
        (["plan", "demo", "extra"], ["extra"]),
        (["show"], ["ARTIFACT"]),
        (["sql", "SELECT 1", "--limit", "0"], ["--limit"]),
        (["compare"], ["RUN"]),
        (["generate", "sft", "x", "--max-tokens", "many"], ["--max-tokens"]),
        (["plan", "dmo"], ["There is no recipe", "demo"]),
        (["plan", "no/such.yaml"], ["There is no file"]),
        (["plan", "--set", "pretrain.seedd=3"], ["--set pretrain.seedd=3", "no field seedd", "Did you mean"]),
        (["plan", "--set", "pretrain"], ["section.field=value"]),
        (["run", "--set", "nowhere.x=1"], ["There is no section nowhere"]),
        (["run", "--until", "pretrian"], ["There is no stage 'pretrian'", "Did you mean pretrain?"]),
        (["plan", "--force", "everything"], ["There is no stage"]),
        (["rerun", "tokenzer"], ["There is no stage", "tokenizer"]),
        (["up", "nosuch"], ["There is no recipe"]),
        (["adopt", "nosuch"], ["There is no stage"]),
        (["show", "nosuch/123"], ["The lake has no artifact"]),
        (["sql", "SELEC"], ["The query cannot be answered"]),
        (["sql", "SELECT 1", "--csv", "--json"], ["exclude each other"]),
        (["ledger"], ["no pipeline run yet", "textmill artifacts"]),
        (["ledger", "nosuch/12"], ["no pipeline run yet"]),
        (["sample", "pages"], ["No such command 'pages'"]),
        (["sample", "removed", "--reason", "rude"], ["has a reason at all"]),
        (["artifacts", "nosuch"], ["There is no stage"]),
        (["generate", "sft", "hello"], ["The lake has no artifact 'sft'"]),
        (["champion", "nosuch"], ["The lake has no artifact", "no pipeline run yet"]),
        (["compare", "last~1", "last"], ["no pipeline run yet"]),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(arguments: list[str], words: list[str], home: Path) -> None:
    assert_refused(textmill(*arguments), *words)
    assert not home.exists(), "Wrong usage left something behind."


def test_a_recipe_with_mistakes_gets_all_of_them_at_once(tmp_path: Path) -> None:
    recipe = tmp_path / "bad.yaml"
    recipe.write_text("crawl:\n  max_pagez: 3\npretrain:\n  steps: many\nsfft: {}\n")
    for verb in ("plan", "run", "up"):
        done = textmill(verb, str(recipe))
        assert_refused(done, "3 mistakes", f"{recipe}:2", f"{recipe}:4", f"{recipe}:5", "Did you mean sft?")


def test_an_unexpected_fault_is_a_sentence_with_its_traceback_in_a_file(home: Path) -> None:
    code = (
        "import flows.cli.lake as lake\n"
        "def broken(): raise ZeroDivisionError('seven')\n"
        "lake.lake = broken\n"
        "import sys; sys.argv = ['textmill', 'artifacts']\n"
        "from flows.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 1
    assert "ZeroDivisionError: seven" in done.stderr
    assert "Traceback" not in done.stderr
    (kept,) = (home / "logs").glob("fault-*.txt")
    assert "Traceback" in kept.read_text()


def test_a_syntax_error_in_a_module_names_file_and_line(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for folder in ("flows", "tasks", "model", "data_lake", "deployments"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    # one that a plan imports, and one whose code it only reads: it stands beside what else would fail
    for module, code, words in (
        ("tasks/synthetic/cloze.py", 1, "{}, line {}, is not Python: invalid syntax"),
        ("model/gpt.py", 2, "{}, line {}: invalid syntax"),
    ):
        source = (copy / module).read_text()
        (copy / module).write_text(source + "def broken(:\n")
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", "plan", "demo", *(["--json"] if code == 2 else [])],
            capture_output=True,
            text=True,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "100"},
        )
        line = source.count("\n") + 1
        assert done.returncode == code
        assert words.format(copy / module, line) in (done.stderr if code == 1 else done.stdout)
        assert "Traceback" not in done.stderr
        (copy / module).write_text(source)


def test_a_reader_that_goes_away_is_no_fault() -> None:
    command = (
        f"{sys.executable} -m flows.cli.main sql 'SELECT * FROM range(1000000)' --csv | head -1; exit "
        f"${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=dict(os.environ), timeout=60)
    assert done.stdout == "range\n"
    assert "Traceback" not in done.stderr
