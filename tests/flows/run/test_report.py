"""The report of a run: its audit is a table in Prefect, and one funnel in MLflow where something was built; what each
stage gave is a table everywhere.

Also covers: flows/run/gains.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from data_lake.tables.schemas import PREDICTIONS
from flows.graph.node import Node
from flows.graph.stages import STAGES
from flows.graph.variants import graph_of
from flows.recipe.recipe import Recipe, RecipeBase
from flows.run.report import Report
from tasks.stage import BuildResult
from tasks.stage.gains import paired
from tests.lakes import commit


class Seen:
    """Stands in for MLflow's run and for the tracker that starts it; keeps what it is told."""

    uri = "file:nowhere"

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}
        self.pages: dict[str, str] = {}
        self.tables: dict[str, Any] = {}
        self.status = ""

    def start_run(self, *_: Any, **__: Any) -> Seen:
        return self

    def file(self, to: str, write: Any) -> None: ...

    def metrics(self, values: Any) -> None: ...

    def tags(self, values: Any) -> None: ...

    def figure(self, name: str, figure: Any) -> None:
        self.figures[name] = figure

    def table(self, name: str, rows: Any) -> None:
        self.tables[name] = rows

    def page(self, name: str, html: str) -> None:
        self.pages[name] = html

    def finish(self, status: str) -> None:
        self.status = status


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """The tables that went to Prefect, by key."""
    import prefect.artifacts

    found: dict[str, list[dict[str, Any]]] = {}
    monkeypatch.setattr(
        prefect.artifacts, "create_table_artifact", lambda table, key, description: found.update({key: table})
    )
    monkeypatch.setattr(prefect.artifacts, "create_markdown_artifact", lambda **_: None)
    return found


def report_on(*artifacts: Artifact) -> Seen:
    seen = Seen()
    report = Report(Home.from_env(), RecipeBase(name="mine"), [], seen, "id", None)  # type: ignore[arg-type]
    for number, artifact in enumerate(artifacts):
        node = Node(artifact.stage, STAGES[artifact.stage], STAGES[artifact.stage].config_type(), {}, ("",), [""])
        report.node(node, BuildResult(artifact, "cached" if number else "built", "never built", 1.0))
    report.close(None)
    return seen


def test_the_audit_of_all_stages_cached_ones_too(home: Path, tables: dict, capsys: pytest.CaptureFixture) -> None:
    lake = Lake(home / "lake")
    crawl = commit(lake, "crawl", ledger=Ledger(Amount(3, 30), Amount(3, 30)).to_dict())
    kept = Ledger(Amount(3, 30), Amount(2, 1500), {"too_short": Amount(1, 9)}, Amount(0, -1479))
    seen = report_on(crawl, commit(lake, "clean", upstream=(crawl,), ledger=kept.to_dict()))
    assert seen.status == "FINISHED"
    assert list(seen.figures) == ["funnel"]
    assert tables["ledger"][3] == {
        "stage": "clean", "entry": "− too_short", "documents": "1", "bytes": "9", "tokens": "",
    }  # fmt: skip
    assert tables["ledger"][-1]["bytes"] == "1,500"
    assert "!" not in capsys.readouterr().err


def test_modules_that_changed_are_counted_where_they_are_many(home: Path, capsys: pytest.CaptureFixture) -> None:
    report = Report(Home.from_env(), RecipeBase(name="mine"), [], Seen(), "id", None)  # type: ignore[arg-type]
    node = Node("crawl", STAGES["crawl"], STAGES["crawl"].config_type(), {}, ("",), [""])
    artifact = commit(Lake(home / "lake"), "crawl")
    for number in (3, 4):
        why = "; ".join(["steps: 9 → 5", *(f"code tasks/m{module}.py changed" for module in range(number))])
        report.node(node, BuildResult(artifact, "built", why, 1.0))
    few, many = capsys.readouterr().err.splitlines()
    assert "steps: 9 → 5; code tasks/m0.py changed; code tasks/m1.py changed; code tasks/m2.py changed)" in few
    assert "(steps: 9 → 5; code of 4 modules changed)" in many


def test_the_models_of_a_run_stand_side_by_side(
    home: Path, tables: dict, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import prefect.artifacts

    pages: list[str] = []
    monkeypatch.setattr(prefect.artifacts, "create_markdown_artifact", lambda markdown, **_: pages.append(markdown))
    lake = Lake(home / "lake")
    asked = commit(lake, "questions")
    graph = {
        node.name: node for node in graph_of(Recipe(variants={"d6": {}, "d12": {"sft": {"max_examples": 1}}})).nodes
    }
    report = Report(Home.from_env(), RecipeBase(name="mine"), [], Seen(), "id", None)  # type: ignore[arg-type]
    for number, name in enumerate(("evaluate-pretrain", "evaluate-sft@d6", "evaluate-sft@d12")):
        text = json.dumps(results(1 + number / 8))
        made = commit(lake, "evaluate", None, (asked,), {"of": name}, texts={"results.json": text})
        report.node(graph[name], BuildResult(made, "built" if number else "cached", "never built", 1.0))
    report.close(None)
    shown = capsys.readouterr().err
    for line in ("  pretrain 1.000", "  sft@d6   1.125", "  sft@d12  1.250", "  xz -9e  2.000"):
        assert " ".join(line.split()) in " ".join(shown.split())
    assert shown.count("HellaSwag format") == pages[0].count("HellaSwag format") == 1
    report.close(RuntimeError("a stage failed"))
    assert "HellaSwag format" not in capsys.readouterr().err


def test_one_page_has_all_models_of_a_run(home: Path, tables: dict, capsys: pytest.CaptureFixture) -> None:
    lake = Lake(home / "lake")
    asked = commit(lake, "questions")
    row = {"model": "m", "benchmark": "hellaswag", "item": 0, "subject": "", "context": "Once", "choices": ["a", "b"],
           "gold": 1, "log_likelihoods": [-1.0, -2.0], "answer": "a", "reference": "b", "score": 0.0, "correct": False,
           "correct_norm": False, "correct_bytes": False, "tokens": 4321, "tokens_cut": 0, "truncated": False,
           "contaminated": False, "found_in_training": 0.0}  # fmt: skip
    items = pa.Table.from_pylist([row], schema=PREDICTIONS)
    graph = {node.name: node for node in graph_of(Recipe()).nodes}
    seen = Seen()
    report = Report(Home.from_env(), RecipeBase(name="mine"), [], seen, "id", None)  # type: ignore[arg-type]
    for number, name in enumerate(("pretrain", "sft")):
        gain = paired("nats per token", "before", [2.0, 2.5], [1.0, 1.25], less_is_better=True) if number else None
        model = commit(lake, name, texts={"model.json": name}, gain=gain,
                       provenance={"cpu_count": 64, "gpus": ["H100", "H100"]})  # fmt: skip
        report.node(graph[name], BuildResult(model, "cached", "in the lake", 0.1))
        text = json.dumps(results(1 + number / 8))
        made = commit(lake, "evaluate", {"per_item.parquet": items}, {"model": model, "questions": asked},
                      texts={"results.json": text, "report.html": "…"}, kind="Evaluation")  # fmt: skip
        report.node(graph[f"evaluate-{name}"], BuildResult(made, "built", "never built", 1.0))
        path = made.path / "report.html"
    report.close(None)
    (page,) = seen.pages.values()
    for words in ("Evaluation of mine", "1.000", "1.125", "2 × H100, 64 CPU cores", "Once", "4,321",
                  "<h2>What each stage gave</h2>", "<td>+1.125 ± 0.125</td>"):  # fmt: skip
        assert words in page
    assert page.count("<th>sft</th>") > 3
    assert str(path) in capsys.readouterr().err


def test_what_each_stage_gave_is_one_table_in_the_terminal_in_prefect_and_in_mlflow(
    home: Path, tables: dict, capsys: pytest.CaptureFixture
) -> None:
    lake = Lake(home / "lake")
    better = paired("texts labelled rightly", "tf-idf", [0.0, 1.0] * 50, [1.0, 1.0, 1.0, 0.0] * 25)
    same = paired("better answer found likelier", "before", [0.0, 1.0] * 50, [1.0, 0.0] * 50)
    seen = report_on(commit(lake, "classify", gain=better), commit(lake, "dpo", gain=same), commit(lake, "tokenizer"))
    shown = capsys.readouterr().err
    for line in (
        "stage measure items against after gain",
        "classify texts labelled rightly 100 tf-idf 0.500 0.750 +0.250 ± 0.083 gain",
        "dpo better answer found likelier 100 before 0.500 0.500 +0.000 ± 0.101 no clear gain",
        "Of dpo, these items show no gain of more than two standard errors.",
    ):
        assert line in " ".join(shown.split())
    assert tables["gains"] == seen.tables["gains"]
    assert [(row["stage"], row["verdict"]) for row in tables["gains"]] == [
        ("classify", "gain"), ("dpo", "no clear gain"),
    ]  # fmt: skip


def results(bits: float) -> dict[str, Any]:
    part = {"n": 4, "acc": 0.5, "acc_stderr": 0.1, "acc_norm": 0.5, "acc_norm_stderr": 0.1}
    one = part | {
        "metric": "acc_norm",
        "chance": 0.25,
        "n_truncated": 0,
        "n_too_long": 0,
        "available": 4,
        "clean": part,
        "shots": 0,
    }
    one["contaminated"] = dict.fromkeys(part) | {"n": 0}
    names = ("hellaswag", "mmlu_letters", "mmlu_cloze")
    return {
        "text": {
            **dict.fromkeys(("token_perplexity", "word_perplexity", "byte_perplexity", "bits_per_character"), bits),
            "bits_per_byte": bits,
            "documents": 2,
            "bytes": 90,
        },
        "benchmarks": {**dict.fromkeys(names, one), "mmlu": one | {"format": "mmlu_cloze"}},
        "compression": {"xz": 2.0, "xz_primed": None},
    }


def test_what_got_lost_between_stages_is_said(home: Path, tables: dict, capsys: pytest.CaptureFixture) -> None:
    lake = Lake(home / "lake")
    crawl = commit(lake, "crawl", ledger=Ledger(Amount(3, 30), Amount(3, 30)).to_dict())
    report_on(crawl, commit(lake, "clean", upstream=(crawl,), ledger=Ledger(Amount(2, 30), Amount(2, 30)).to_dict()))
    assert "kept 3 documents, but 2 came into clean/" in capsys.readouterr().err


def test_stages_without_a_ledger_leave_no_empty_table(home: Path, tables: dict) -> None:
    assert report_on(commit(Lake(home / "lake"), "tokenizer")).figures == {}
    assert list(tables) == ["stages"]
