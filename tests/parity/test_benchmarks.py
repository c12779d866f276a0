"""Parity with lm-eval 0.4.13: every benchmark's metrics, standard errors and log-likelihoods, on rows in its format."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from model.gpt import GPT
from model.shape import Family
from tasks.benchmarks.base import Answered, Benchmark, Item
from tasks.benchmarks.config import BenchmarkFiles, BenchmarksConfig
from tasks.benchmarks.registry import BENCHMARKS
from tasks.benchmarks.stage import benchmarks
from tasks.evaluation.evaluate.asking import ask
from tasks.evaluation.evaluate.benchmarks import Asking, Results, results_of
from tasks.evaluation.evaluate.writing import Writer
from tasks.stage import local_output
from tasks.synthetic.questions.chosen import choose
from tasks.synthetic.questions.config import AskedConfig, QuestionsConfig
from tests.parity.harness import Bytes, reference, scorer_of, tiny_model
from tests.parity.rows import rows_of

pytestmark = pytest.mark.parity
pytest.importorskip("lm_eval", reason="lm-eval is not installed; `make test` installs it.")

DOCS = 4
BOOTSTRAP = 100
MMLU = {"mmlu": ("abstract_algebra", "anatomy"), "mmlu_continuation": ("anatomy", "virology")}


def splits_of(task: str, shots: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of each split that the task has."""
    benchmark = BENCHMARKS[task]
    splits = {benchmark.evaluated: rows_of(task, 1 if benchmark.output == "generate" else DOCS)}
    if benchmark.shots_from not in splits:
        splits[benchmark.shots_from] = rows_of(task, DOCS + 5, seed=1)
    if benchmark.evaluated == "test" and not benchmark.first_shots:
        splits.setdefault("validation", rows_of(task, 2, seed=2))
    splits.setdefault("train", rows_of(task, 2, seed=3))
    return splits


def ours(folder: Path, model: GPT, task: str, rows: dict[str, list[dict[str, Any]]], shots: int | None) -> Results:
    """The results of our own stages on the same rows, read from files."""
    for split, of_split in rows.items():
        path = folder / task / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in of_split))
    out = local_output(folder / f"{task}-{shots}")
    files = {task: BenchmarkFiles(path=(str(folder / task),))}
    benchmarks(BenchmarksConfig(files=files, shots=(task,)), out)
    assert (out.counts["rows"], out.counts["left_out"]) == (out.counts["items"], 0)
    asked = QuestionsConfig(benchmarks={task: AskedConfig(limit=0, shots=shots)})
    chosen, available = choose(asked, local_output(folder / "chosen"), out.dir)
    asking = Asking(BENCHMARKS[task], chosen[task], available[task])
    write = Writer(model, Bytes())  # type: ignore[arg-type]
    return results_of(asking, ask(scorer_of(model), write, asking.benchmark, asking.chosen), BOOTSTRAP)


def agree(benchmark: Benchmark, own: dict[str, Any], theirs: dict[str, Any]) -> None:
    """All metrics of lm-eval are ours, with their standard errors."""
    compared = 0
    for metric in benchmark.metrics:
        key = metric.key or f"{metric.name},none"
        if key not in theirs:
            continue
        compared += 1
        assert own[metric.name] == pytest.approx(theirs[key], rel=1e-5), metric
        error = theirs[key.replace(",", "_stderr,")]
        if error == "N/A":
            assert own[f"{metric.name}_stderr"] is None, metric
        else:
            assert own[f"{metric.name}_stderr"] == pytest.approx(error, rel=1e-4), metric
    reported = {key for key in theirs if "," in key and "_stderr" not in key}
    parts = {key for key in reported if "_bias_score_" in key}  # BBQ's scores of a category
    for key in parts:
        name, _, category = key.removesuffix(",none").partition("_bias_score_")
        part = own["subjects"].get(category)
        assert math.isnan(theirs[key]) if part is None else part[f"{name}_bias_score"] == pytest.approx(theirs[key])
    assert compared == len(reported) - len(parts)


@pytest.fixture(scope="module")
def model() -> GPT:
    return tiny_model()


@pytest.mark.parametrize("shots", [0, 3])
@pytest.mark.parametrize("task", MMLU)
def test_groups_are_lm_evals(task: str, shots: int, model: GPT, tmp_path: Path) -> None:
    """MMLU's subjects are tasks, and MMLU is the group of them: weighted by size, with the pooled standard error."""
    subjects = {"anatomy": 4, "virology": 6}
    rows = {"test": [], "dev": []}
    theirs = {}
    for number, (subject, count) in enumerate(subjects.items()):
        own = {"test": rows_of(task, count, seed=number), "dev": rows_of(task, 5, seed=10 + number)}
        for split, of_split in own.items():
            rows[split] += [{**row, "subject": subject} for row in of_split]
        theirs[f"mmlu_{subject}" + task.removeprefix("mmlu")] = own
    results, samples = reference(tmp_path, model, theirs, shots, group=task)
    found = ours(tmp_path, model, task, rows, shots)
    summary = found.summary()
    agree(BENCHMARKS[task], summary, results[task])
    for subject, name in zip(subjects, theirs, strict=True):
        agree(BENCHMARKS[task], summary["subjects"][subject], results[name])
    rows_of_all = [one for name in theirs for one in sorted(samples[name], key=lambda one: one["doc_id"])]
    for row, sample in zip(found.rows, rows_of_all, strict=True):
        assert row["context"] == sample["arguments"][0][0]
        assert row["log_likelihoods"] == pytest.approx([reply[0][0] for reply in sample["resps"]], rel=1e-5)


def compare(tmp_path: Path, model: GPT, tasks: Sequence[str], shots: int) -> None:
    """All metrics, prompts and log-likelihoods of the tasks are lm-eval's."""
    rows = {name: splits_of(name, shots) for name in tasks}
    results, samples = reference(tmp_path, model, rows, shots, BOOTSTRAP)
    for name in tasks:
        own = ours(tmp_path, model, name, rows[name], shots)
        agree(BENCHMARKS[name], own.summary(), results[name])
        theirs = [one for one in samples[name] if one["filter"] in ("none", "strict-match")]
        for row, sample in zip(own.rows, sorted(theirs, key=lambda one: one["doc_id"]), strict=True):
            assert row["context"] == sample["arguments"][0][0] or name == "wikitext"
            replies = [reply[0] for reply in sample["resps"]]
            if BENCHMARKS[name].output == "generate":
                assert [row["answer"]] == replies
            else:
                scores = [reply[0] if isinstance(reply, tuple | list) else reply for reply in replies]
                assert row["log_likelihoods"] == pytest.approx(scores, rel=1e-5), name
        if model.config.max_seq_len < 100 and name != "wikitext":
            assert any(row["truncated"] for row in own.rows)


@pytest.mark.parametrize("shots", [0, 2])
def test_every_benchmark_is_lm_evals(shots: int, model: GPT, tmp_path: Path) -> None:
    compare(tmp_path, model, [name for name, one in BENCHMARKS.items() if not one.subjects_are_groups], shots)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_every_family_agrees_also_where_prompts_do_not_fit(family: Family, tmp_path: Path) -> None:
    """Three shots are longer than the context of 90 tokens: the prompts lose their beginnings as in lm-eval."""
    compare(tmp_path, tiny_model(90, family), ["hellaswag", "winogrande", "lambada_openai", "wikitext"], 3)


WRITTEN = [
    "So it is 6.\n#### 1,234.", "#### 12 or #### 13", "It is $1,234.", "1,234 and -5", "#### -7", "nothing", "$",
    "#### .", "The answer is 42", "####5 and #### 1234", "1234.",
]  # fmt: skip


@pytest.mark.parametrize("gold", ["#### 1,234", "so\n#### 12", "#### -7", "#### 42"])
def test_numbers_are_taken_out_of_texts_as_lm_eval_does(gold: str) -> None:
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter

    from tasks.benchmarks import gsm8k

    ignored = {"regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"], "ignore_case": True}
    filters = {
        "exact_match": RegexFilter(r"#### (\-?[0-9\.\,]+)"),
        "exact_match_flexible": RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1),
    }
    item = Item(("",), (gold,))
    for text in WRITTEN:
        for name, found in filters.items():
            ((answer,),) = found.apply([[text]], [])
            wanted = exact_match_hf_evaluate(predictions=[answer], references=[gold], **ignored)["exact_match"]
            assert gsm8k.values(item, Answered(text=text))[name] == wanted, (name, text)
