"""What can be known before the first stage runs is said before it: as rows of the plan, and instead of a run.

Also covers: tasks/corpus/clean/preflight.py
Also covers: tasks/corpus/crawl/preflight.py
Also covers: tasks/corpus/decontaminate/preflight.py
Also covers: tasks/corpus/dedup/preflight.py
Also covers: tasks/evaluation/evaluate/preflight.py
Also covers: tasks/stage/preflight.py
Also covers: tasks/training/pretrain/preflight.py
Also covers: tasks/synthetic/questions/preflight.py
Also covers: tasks/training/sft/preflight.py
Also covers: tasks/corpus/tokenizer/preflight.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_lake.store.lake import Lake
from flows.graph.plan import Plan, make_plan, require_sound
from flows.graph.variants import graph_of
from flows.recipe.errors import RecipeError
from flows.recipe.load import load_recipe
from tests.terminal import data, textmill


def plan_of(home: Path, *overrides: str, until: tuple[str, ...] = ()) -> Plan:
    return make_plan(graph_of(load_recipe("demo", overrides)), Lake(home / "lake"), until=until, name="demo")


def test_the_recipe_that_comes_along_has_nothing_to_say(home: Path) -> None:
    assert plan_of(home).problems == ()


WRONG: list[tuple[str, str, str, str]] = [
    # stage, what is set, the field that is named, words of the reason
    ("crawl", "crawl.paths=[nowhere/]", "crawl.paths", "'nowhere/' matches no file"),
    ("crawl", "crawl.server=none", "crawl", "no source"),
    ("clean", "clean.filters.bad_words.files=[bad.txt]", "clean.filters.bad_words.files", "'bad.txt'"),
    ("clean", "clean.filters.url_list.files=[latin1.txt]", "clean.filters.url_list.files", "is not UTF-8"),
    ("clean", "clean.normalize.sensitive_files=[s.txt]", "clean.normalize.sensitive_files", "'s.txt'"),
    ("clean", "clean.filters.classifiers=[{labelled: [l.jsonl]}]", "clean.filters.classifiers", "'l.jsonl'"),
    (
        "classify",
        "clean.filters.classifiers=[{trained_by: classify/0, label: a}]",
        "clean.filters.classifiers",
        "0 such",
    ),
    ("clean", "clean.skip_elements=['a[']", "clean.skip_elements", "not a CSS selector"),
    ("clean", "clean.pii.phone_regions=[QQ]", "clean.pii.phone_regions", "'QQ' is not a country"),
    ("dedup", "dedup.against=[dedup/0123]", "dedup.against", "the lake has 0 such artifacts"),
    ("decontaminate", "decontaminate.benchmarks=[b.jsonl]", "decontaminate.benchmarks", "'b.jsonl'"),
    ("decontaminate", "decontaminate.mmlu=nowhere", "decontaminate.mmlu", "nowhere"),
    ("tokenizer", "tokenizer.keep=tokenizer/0123", "tokenizer.keep", "the lake has 0 such artifacts"),
    ("tokenizer", "tokenizer.pattern=a", "tokenizer.pattern", "must match every character"),
    ("tokenizer", "tokenizer.pattern=(", "tokenizer.pattern", "cannot be used"),
    ("tokenizer", "tokenizer.ready=o200k_base", "tokenizer.ready", "not in tiktoken's cache"),
    ("tokenizer", "tokenizer.files=empty.jsonl", "tokenizer.files", "empty.jsonl"),
    ("tokenizer", "tokenizer.files=nowhere", "tokenizer.files", "There is no tokenizer in nowhere"),
    ("tokenizer", "tokenizer.gpt2=empty.jsonl", "tokenizer.gpt2", "are not those of gpt2"),
    ("import_model", "import_model.folder=nowhere", "import_model.folder", "There is no folder nowhere"),
    ("import_model", "import_model={}", "import_model.folder", "No folder is named"),
    ("pretrain", "decontaminate.split.val=0", "decontaminate.split.val", "Nothing is held out"),
    ("pretrain", "pretrain.training.head_learning_rate=0.1", "pretrain.training.head_learning_rate", "tied to the"),
    ("sft", "tokenizer={ready: gpt2, roles: false, download: true}", "tokenizer.roles", "for their roles"),
    ("pairs", "pairs={data: [nosuch.csv]}", "pairs.data", "'nosuch.csv'"),
    ("pairs", "pairs={}", "pairs.data", "names no file"),
    ("pretrain", "pretrain.adapter={rank: 4}", "pretrain.adapter", "begins with random weights"),
    ("sft", "sft.adapter={rank: 300}", "sft.adapter.rank", "The rank 300 is more than q_proj can have"),
    ("sft", "sft.data=[nosuch.jsonl]", "sft.data", "'nosuch.jsonl'"),
    ("sft", "sft.sources=[{data: [nosuch.csv]}]", "sft.data", "'nosuch.csv'"),
    ("sft", "sft.data=[empty.jsonl]", "sft.data", "no record that can be used"),
    ("evaluate", "evaluate.min_context=257", "evaluate.min_context", "whose context is 256"),
    ("evaluate", "evaluate.toxicity={}", "evaluate.toxicity.classifier", "no classifier 'toxicity': clean.filters.cl"),
    ("clean", "evaluate.toxicity={trained_by: clean/01}", "evaluate.toxicity.trained_by", "has 0 such artifacts"),
    ("evaluate", "evaluate.toxicity={tokens: 256}", "evaluate.toxicity.tokens", "no room for a prompt in a context"),
    ("evaluate", "evaluate.toxicity={prompts: [no.jsonl]}", "evaluate.toxicity.prompts", "'no.jsonl', but there is no"),
    ("evaluate", "evaluate.toxicity={prompts: [empty.jsonl]}", "evaluate.toxicity.prompts", "have no prompt"),
    ("questions", "decontaminate.split.test=0", "decontaminate.split.test", "Nothing is held out"),
    ("questions", "questions.hellaswag=empty.jsonl", "questions.hellaswag", "no item"),
]


@pytest.mark.parametrize(("stage", "override", "field", "words"), WRONG, ids=[wrong[1] for wrong in WRONG])
def test_what_cannot_work_is_a_row_of_the_plan(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, override: str, field: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    Path("empty.jsonl").write_text("")
    Path("latin1.txt").write_bytes(b"caf\xe9\n")
    plan = plan_of(home, override)
    problem = next(problem for problem in plan.problems if problem.field == field)
    assert words in problem.reason
    row = next(row for row in plan.rows if row.stage == stage and row.status == "fails")
    assert any(problem.reason in reason for reason in row.reasons)
    assert len(plan.rows) >= 9, "the plan of the other stages is there"


def test_items_that_cannot_be_asked_are_counted_before_the_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mmlu/test").mkdir(parents=True)
    rows_of_csv = ["Which?,one,two,three,four,A", "Empty?,,b,c,d,A", f"Long?,{'b ' * 300},x,y,z,B"]
    Path("mmlu/test/x_test.csv").write_text("\n".join(rows_of_csv) + "\n")
    plan = plan_of(home, "questions.mmlu=mmlu")
    assert plan.problems == ()
    rows = {row.node: row for row in plan.rows}
    assert {rows[node].status for node in ("questions", "evaluate-pretrain", "evaluate-sft")} == {"run"}
    empty = "1 of 3 items of mmlu will be left out, as one of their choices is empty."
    assert empty in rows["questions"].reasons
    assert empty not in rows["evaluate-sft"].reasons
    for node in ("evaluate-pretrain", "evaluate-sft"):
        assert any("1 of 2" in reason and "longer than the context" in reason for reason in rows[node].reasons)
    Path("mmlu/test/x_test.csv").write_text("\n".join(rows_of_csv[1:2]) + "\n")
    (problem,) = plan_of(home, "questions.mmlu=mmlu").problems
    assert problem.field == "questions.mmlu"
    Path("mmlu/test/x_test.csv").write_text("\n".join(rows_of_csv[1:]) + "\n")
    problems = plan_of(home, "questions.mmlu=mmlu").problems
    assert {problem.field for problem in problems} == {"questions.mmlu"}
    assert all("none of its 1 has choices that can be scored" in problem.reason for problem in problems)


@pytest.mark.parametrize(
    ("field", "device"),
    [("pretrain.runtime.device", "gpu"), ("sft.runtime.device", "meta"), ("evaluate.device", "cuda:99")],
)
def test_a_device_that_is_not_there(home: Path, field: str, device: str) -> None:
    (problem,) = plan_of(home, f"{field}={device}").problems
    assert (problem.field, problem.value) == (field, repr(device))
    assert f"The device '{device}'" in problem.reason


def test_a_run_does_not_begin_and_says_all_at_once(home: Path) -> None:
    overrides = ["evaluate.min_context=300", "sft.data=[nosuch.jsonl]", "tokenizer.pattern=("]
    said = textmill("run", "demo", *(f"--set={override}" for override in overrides), code=2)
    assert "The recipe demo has 3 mistakes" in said
    assert said.index("tokenizer.pattern") < said.index("sft.data") < said.index("evaluate.min_context")
    assert not home.exists(), "nothing was started"
    shown = textmill("plan", "demo", *(f"--set={override}" for override in overrides), code=2)
    assert "`textmill run` will not start" in shown
    fields = [problem["field"] for problem in plan_of(home, *overrides).to_json()["problems"]]
    assert fields == ["tokenizer.pattern", "sft.data", "evaluate.min_context"]


def test_only_the_stages_in_scope_are_asked(home: Path) -> None:
    assert plan_of(home, "evaluate.device=gpu", until=("sft",)).problems == ()
    assert data("plan", "demo", "--set", "sft.data=[nosuch.jsonl]", "--until", "pretrain")["problems"] == []
    with pytest.raises(RecipeError, match=r"nosuch\.jsonl"):
        require_sound(graph_of(load_recipe("demo", ["sft.data=[nosuch.jsonl]"])), Lake(home / "lake"), until=["sft"])


def test_official_items_that_are_too_long_are_said(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"goal": "To go", "sol1": "Go.", "sol2": words, "label": 0} for words in ("Stay.", "b " * 300, " ")]
    Path("valid.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = plan_of(home, "questions.benchmarks={piqa: {path: valid.jsonl}}")
    assert plan.problems == ()
    rows_of = {row.node: row for row in plan.rows}
    for node in ("evaluate-pretrain", "evaluate-sft"):
        assert any("1 of 2" in said and "longer than the context" in said for said in rows_of[node].reasons)
    plan = plan_of(home, "questions.benchmarks={piqa: {path: valid.jsonl, shots: 3}}")
    assert any("train split, but no file has it" in str(problem) for problem in plan.problems)
