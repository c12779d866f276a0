"""synthetic/questions/chosen.py: official items are chosen evenly, have their shots, and keep both when written."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks import BenchmarksConfig, benchmarks
from tasks.benchmarks.base import Item
from tasks.stage import PermanentError, local_output
from tasks.synthetic.questions.chosen import (
    Chosen,
    choose,
    passages_of,
    read_chosen,
    selected,
    shots_wanted,
    write_chosen,
)
from tasks.synthetic.questions.config import AskedConfig, QuestionsConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A benchmarks artifact with MMLU of two subjects, and PIQA."""
    official = tmp_path / "official"
    for split, count in (("dev", 2), ("test", 6)):
        (official / "mmlu" / split).mkdir(parents=True)
        for subject in ("art", "law"):
            rows = "".join(f"What is {subject} {n}?,a,b,c,d,B\n" for n in range(count))
            (official / "mmlu" / split / f"{subject}_{split}.csv").write_text(rows)
    (official / "piqa").mkdir()
    for split, count in (("train", 9), ("valid", 5)):
        rows = [{"goal": f"To {split} {n}", "sol1": "Do.", "sol2": "Do not.", "label": n % 2} for n in range(count)]
        (official / "piqa" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = local_output(tmp_path / "benchmarks")
    files = {name: {"path": str(official / name)} for name in ("mmlu", "piqa")}
    benchmarks(BenchmarksConfig.model_validate({"files": files, "shots": ["mmlu", "piqa"]}), out)
    return out.dir


def chosen(folder: Path, **benchmarks: dict[str, Any]) -> tuple[dict[str, list[Chosen]], dict[str, int], list[str]]:
    config = QuestionsConfig.model_validate({"benchmarks": benchmarks, "max_items": 3})
    out = local_output(folder.parent / "out")
    said: list[str] = []
    out.warning = said.append  # type: ignore[method-assign]
    return (*choose(config, out, folder), said)


def test_items_are_chosen_evenly_from_the_subjects(folder: Path) -> None:
    found, available, _ = chosen(folder, mmlu={"limit": 5}, piqa={})
    assert available == {"mmlu": 12, "piqa": 5}
    assert Counter(one.item.subject for one in found["mmlu"]) == {"art": 3, "law": 2}
    assert [one.item.question for one in found["piqa"]] == [f"To valid {n}" for n in range(3)]  # max_items
    everything, _, _ = chosen(folder, mmlu={"limit": 0})
    assert len(everything["mmlu"]) == 12


def test_a_seed_draws_other_items_of_each_subject() -> None:
    items = [Item((str(n),), ("a", "b"), subject="ab"[n % 2]) for n in range(40)]
    first, again, other = (selected(items, 10, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert Counter(item.subject for item in first) == {"a": 5, "b": 5}
    assert [items.index(item) for item in first] == sorted(items.index(item) for item in first)
    assert selected(items, 100, 3) == items


def test_shots_stand_before_the_question_and_their_lack_is_said(folder: Path) -> None:
    found, _, said = chosen(folder, mmlu={"shots": 3}, piqa={"shots": 4})
    assert all(one.before.count("Answer: B\n\n") == one.shots == 2 for one in found["mmlu"])
    assert any("mmlu: 3 of 3 items have fewer than 3 shots" in sentence for sentence in said)
    assert all(one.before.count("Question: To train") == one.shots == 4 for one in found["piqa"])
    assert len({one.before for one in found["piqa"]}) == 3
    with pytest.raises(PermanentError, match=r"9 shots of piqa are drawn .* questions\.benchmarks\.piqa\.shots_path"):
        chosen(folder, piqa={"shots": 9})


def test_what_is_written_is_read(folder: Path, tmp_path: Path) -> None:
    found, _, _ = chosen(folder, mmlu={"shots": 1}, piqa={})
    found["piqa"][1] = Chosen(found["piqa"][1].item, "x", 0, True, 0.75)
    write_chosen(tmp_path, found)
    assert read_chosen(tmp_path) == found


def test_the_texts_looked_for_have_the_choices_also_where_letters_are_asked(folder: Path) -> None:
    found, _, _ = chosen(folder, mmlu={})
    first = passages_of("mmlu", found["mmlu"])[0]
    assert (first.question, first.answer, first.choices) == ("What is art 0?", "b", ("a", "b", "c", "d"))


def test_shots_are_lm_evals_where_the_recipe_names_no_number() -> None:
    from tasks.benchmarks.registry import BENCHMARKS

    assert shots_wanted(BENCHMARKS["piqa"], AskedConfig()) == 0
    assert shots_wanted(BENCHMARKS["truthfulqa_mc2"], AskedConfig(shots=5)) == 0


def test_benchmarks_that_were_not_read_are_said(tmp_path: Path) -> None:
    config = QuestionsConfig.model_validate({"benchmarks": {"piqa": {"path": "x"}}})
    with pytest.raises(PermanentError, match="no benchmarks were read"):
        choose(config, local_output(tmp_path), None)
