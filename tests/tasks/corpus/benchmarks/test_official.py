"""corpus/benchmarks/official.py: what is looked for in training documents is what is asked, and not its shots."""

from __future__ import annotations

import json
from pathlib import Path

from tasks.benchmarks import BenchmarksConfig, benchmarks
from tasks.corpus.benchmarks.official import official_passages, passage
from tasks.stage import local_output


def test_the_items_that_are_asked_are_looked_for_and_shots_are_not(tmp_path: Path) -> None:
    for split in ("test", "dev"):
        (tmp_path / "mmlu" / split).mkdir(parents=True)
        for subject in ("art", "law"):
            row = f"What is {split} {subject}?,one,two,three,four,C\n"
            (tmp_path / "mmlu" / split / f"{subject}_{split}.csv").write_text(row)
    piqa = {"goal": "To go", "sol1": "Go.", "sol2": "Stay.", "label": 1}
    (tmp_path / "valid.jsonl").write_text(json.dumps(piqa) + "\n")
    files = {"mmlu": {"path": str(tmp_path / "mmlu")}, "piqa": {"path": str(tmp_path / "valid.jsonl")}}
    out = local_output(tmp_path / "out")
    benchmarks(BenchmarksConfig.model_validate({"files": files, "shots": ["mmlu", "piqa"]}), out)
    found = official_passages(out.dir)
    assert [(item.benchmark, item.name, item.question) for item in found] == [
        ("mmlu", "0", "What is test art?"), ("mmlu", "1", "What is test law?"), ("piqa", "0", "To go"),
    ]  # fmt: skip
    assert (found[0].answer, found[0].choices) == ("three", ("one", "two", "three", "four"))
    assert found[2].text == "To go\nStay."


def test_choices_behind_letters_are_what_is_looked_for() -> None:
    assert passage("b", "1", "q", "x", ["A", "B"], {"choices": ["x", "y"]}).choices == ("x", "y")
    assert passage("b", "1", "q", "x", ["x", "y"], {}).choices == ("x", "y")
