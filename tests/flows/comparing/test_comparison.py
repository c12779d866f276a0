"""flows/comparing/comparison.py: runs, variants, models and seeds side by side; what cannot be compared is said.

Also covers: flows/comparing/subjects.py
Also covers: flows/comparing/seeds.py
Also covers: flows/comparing/changes.py
"""

from __future__ import annotations

import json

import pytest

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.home import Home
from flows.comparing.comparison import Comparison, compare
from flows.comparing.runs import CompareError
from flows.servers.mlflow_db import init_mlflow
from tasks.tracking.mlflow_client import Sender
from tests.evaluations import Runs, evaluation, items, questions
from tests.lakes import commit

WEAK = [n % 4 == 0 for n in range(100)]
STRONG = [n % 4 < 3 for n in range(100)]


def compared(*names: str, **options: object) -> Comparison:
    return compare(names, Home.from_env(), **options)  # type: ignore[arg-type]


def verdicts(made: Comparison) -> dict[str, str]:
    return {
        f"{scores.label} {scores.after[:8]} {row.name}": row.verdict for scores in made.scores for row in scores.rows
    }


def test_two_runs_differ_in_recipe_data_cost_and_scores(made: Runs) -> None:
    small = Ledger(Amount(10, 1000), Amount(7, 700), {"too_short": Amount(3, 300)})
    large = Ledger(Amount(10, 1000), Amount(9, 900), {"too_short": Amount(1, 100)})
    made.run(WEAK, [700.0] * 20, depth=6, ledger=small)
    made.run(STRONG, [600.0 + n for n in range(20)], depth=12, ledger=large)
    found = compared("last~1", "last")
    assert [(one.node, one.name, one.values) for one in found.fields] == [("pretrain", "depth", ("6", "12"))]
    data = {(one.stage, one.entry): [row.documents if row else None for row in one.values] for one in found.data}
    assert data == {("clean", "− too_short"): [3, 1], ("clean", "kept"): [7, 9]}
    assert (found.costs[-1].node, found.costs[-1].values) == ("all", (4.5, 4.5))
    assert [one.node for one in found.artifacts] == ["clean", "pretrain", "evaluate-pretrain"]
    (scores,) = found.scores
    assert {row.name: row.verdict for row in scores.rows} == {"bits_per_byte": "better", "b_acc": "better"}
    assert (scores.label, scores.seeds) == ("pretrain", (1, 1))
    assert found.notes == []
    assert json.loads(json.dumps(found.to_json()))["scores"][0]["rows"][1]["n"] == 100


def test_each_is_compared_with_the_first_and_all_rows_are_corrected_together(made: Runs) -> None:
    for depth, right in ((6, WEAK), (12, STRONG), (24, WEAK[::-1])):
        made.run(right, depth=depth)
    found = compared("last~2", "last~1", "last")
    assert [(one.before[-8:], one.after[-8:]) for one in found.scores] == [
        ("00000000", "00010001"),
        ("00000000", "00020002"),
    ]
    assert [row.verdict for row in found.rows] == ["better", "not distinguishable"]
    assert found.rows[0].p_adjusted == pytest.approx(2 * found.rows[0].p)
    assert found.fields[0].values == ("6", "12", "24")


def test_one_run_with_variants_is_all_of_them(made: Runs) -> None:
    for label, right in (("d6", WEAK), ("d12", STRONG)):
        made.run(right, name="ab", variant=label, flow="f" * 8, depth=label)
    assert [one.name.partition(" ")[0] for one in compared("last").subjects] == ["ab@d6", "ab@d12"]
    assert list(verdicts(compared("last@d6", "last@d12")).values()) == ["better"]
    made.run(WEAK, depth=1)
    with pytest.raises(CompareError, match="one run without variants; name what to compare it with"):
        compared("last")


def test_seeds_stand_together_and_those_in_the_lake_are_found(made: Runs) -> None:
    def right(level: int, jitter: int) -> list[bool]:
        return [n < level + jitter for n in range(100)]

    for seed in range(3):
        made.run(right(30, seed), training={"seed": seed}, depth=6)
    for seed in range(3):
        made.run(right(60, seed), training={"seed": seed}, depth=12)
    found = compared("last~3", "last")
    assert found.scores[0].seeds == (3, 3)
    (row,) = found.rows
    assert (row.unit, row.n, row.verdict) == ("seeds", 3, "better")
    assert (row.before, row.after) == (pytest.approx(0.31), pytest.approx(0.61))
    merged = compared("last~5", "last~4", "last", "last~1")
    assert [(one.before.count("demo"), one.after.count("demo")) for one in merged.scores] == [(2, 2)]
    alike = compared("last~1", "last")
    assert alike.rows[0].unit == "items"
    assert "differ in nothing but seeds" in alike.notes[0]
    models = compared(*(made.records[place].artifacts["pretrain"] for place in (0, 5)))
    assert models.rows[0].unit == "items"  # these two models are meant, not their recipes


def test_a_seed_that_only_one_side_has_several_of_is_said(made: Runs) -> None:
    for seed in range(2):
        made.run(WEAK, training={"seed": seed}, depth=6)
    made.run(STRONG, training={"seed": 0}, depth=12)
    found = compared("last~1", "last")
    assert found.rows[0].unit == "items"
    assert "2 seeds of one side and 1 of the other" in " ".join(found.scores[0].notes)


def test_models_by_name_are_compared_on_the_questions_that_both_were_asked(made: Runs) -> None:
    first = made.run(WEAK, depth=6)
    second = made.run(STRONG, depth=12, asked="other", benchmark="c")
    evaluation(made.lake, second, questions(made.lake), items("b", STRONG))
    found = compared(first.name, second.name)
    assert [row.metric for row in found.rows] == ["b_acc"]
    assert [(one.node, one.name, one.values) for one in found.fields] == [("pretrain", "depth", ("6", "12"))]
    mixed = compared("last", first.name)
    assert mixed.scores[0].label == "model"
    by_evaluation = compared(made.records[0].artifacts["evaluate-pretrain"], second.name[:14])
    assert [row.metric for row in by_evaluation.rows] == ["b_acc"]


def test_items_that_only_one_has_are_counted(made: Runs) -> None:
    made.run(WEAK, depth=6)
    made.run(STRONG[:60], depth=12, asked="fewer", contaminated=[n < 5 for n in range(60)])
    rows = {row.name: row for row in compared("last~1", "last").rows}
    assert (rows["b_acc"].n, rows["b_acc"].only_before, rows["b_acc"].contaminated) == (60, 40, 5)
    assert rows["b_acc_clean"].n == 55


def test_the_same_run_again_is_no_difference(made: Runs) -> None:
    for _ in range(2):
        made.run(WEAK, depth=6)
    found = compared("last~1", "last")
    assert (found.fields, found.data, found.artifacts) == ([], [], [])
    assert verdicts(found) == {"pretrain demo 000 b_acc": "not distinguishable"}
    assert "They have the same evaluations, so that no score can differ." in found.notes


def test_runs_that_share_nothing(made: Runs) -> None:
    made.run(WEAK, depth=6)
    made.run(WEAK, depth=12, asked="other", benchmark="c")
    found = compared("last~1", "last")
    assert found.rows == []
    assert "share no item and no held-out document" in " ".join(found.scores[0].notes)
    assert "has no scores of b, which" in " ".join(found.scores[0].notes)


def test_runs_without_an_evaluation_or_from_another_home(made: Runs) -> None:
    made.run(WEAK, depth=6)
    made.run(STRONG, depth=12)
    del made.records[1].artifacts["evaluate-pretrain"]  # type: ignore[attr-defined]
    made.records[1].artifacts["clean"] = "clean/0123456789abcdef"  # type: ignore[index]
    found = compared("last~1", "last")
    assert found.scores == []
    said = " ".join(found.notes)
    assert "has no evaluation in this lake, so its scores cannot be tested" in said
    assert "This lake does not have clean/0123456789abcdef of demo" in said
    assert [one.values for one in found.fields] == [("6", "12")]
    assert [change.name for change in found.metrics] == ["evaluate-pretrain.acc"]


def test_other_code_and_other_machines_are_said(made: Runs) -> None:
    first = made.run(WEAK, depth=6)
    lake, payload = made.lake, dict(first.manifest.payload)
    again = commit(lake, "sft", upstream={"base": first}, kind="Model",
                   provenance={"platform": "Linux", "cpu_count": 2, "gpus": ["H100"]})  # fmt: skip
    other = commit(lake, "sft", upstream={"base": made.run(WEAK, depth=7)}, kind="Model",
                   provenance={"platform": "Linux", "cpu_count": 4})  # fmt: skip
    found = compared(again.name, other.name)
    assert "sft was built on different machines (Linux, 2 CPUs, H100 and Linux, 4 CPUs)." in found.notes
    assert payload["config"] == {"depth": 6}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["dem", "last"], "There is no pipeline run 'dem'. The newest are"),
        (["dem", "last"], "Did you mean demo?"),
        (["pretrain/zz", "last"], "The lake has no model 'pretrain/zz'; the newest are pretrain/"),
        (["clean", "last"], "is no model but something else: only models"),
        (["last~1", "last@d6"], "has no variant 'd6'; it has no variants"),
        (["last", "last~0"], "demo 00010001 is named twice"),
    ],
)
def test_what_cannot_be_compared(made: Runs, names: list[str], said: str) -> None:
    for depth in (6, 12):
        made.run(WEAK, depth=depth)
    with pytest.raises(CompareError) as caught:
        compared(*names)
    assert said in str(caught.value)


@pytest.mark.slow
def test_speeds_and_gpus_come_from_the_run_that_trained_a_model(made: Runs) -> None:
    home = Home.from_env().ensure()
    init_mlflow(home)
    client = Sender(home).client
    experiment = client.create_experiment("textmill/pretrain")
    models = []
    for place, depth in enumerate((6, 12)):
        run_id = client.create_run(experiment).info.run_id
        client.log_metric(run_id, "tokens_per_second", 1000.0 * depth)
        for step, load in enumerate((50.0, 70.0 + 10 * place)):
            client.log_metric(run_id, "system/gpu_0_utilization_percentage", load, step=step)
        models.append(commit(made.lake, "pretrain", config={"depth": depth}, kind="Model",
                             runs={"mlflow_run_id": run_id}))  # fmt: skip
    found = compared(*(one.name for one in models))
    assert {one.name: one.values for one in found.costs if one.node == "pretrain"} == {
        "tokens_per_second": (6000.0, 12000.0), "gpu_utilization_percentage": (60.0, 65.0),
    }  # fmt: skip


def test_a_metric_that_nobody_measured(made: Runs) -> None:
    made.run(WEAK, [700.0] * 20, depth=6)
    made.run(STRONG, [600.0] * 20, depth=12)
    assert [row.name for row in compared("last~1", "last", metrics=["b_acc"]).rows] == ["b_acc"]
    with pytest.raises(
        CompareError, match=r"no metric 'b_ac' to compare; there are bits_per_byte, b_acc, b_acc_norm. Did"
    ):
        compared("last~1", "last", metrics=["b_ac"])


def test_scores_that_cannot_be_read(made: Runs) -> None:
    for depth in (6, 12):
        made.run(WEAK, depth=depth)
    (made.lake.artifacts("evaluate")[0].path / "per_item.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(CompareError, match=r"The scores of evaluate/.* cannot be read"):
        compared("last~1", "last")
