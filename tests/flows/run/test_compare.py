"""Comparing runs: which run is meant, what changed, and what is more than noise."""

from __future__ import annotations

import pytest

from data_lake.store.home import Home
from flows.run.compare import CompareError, MetricChange, PipelineRecord, compare, find_run, pipeline_runs


def record(
    run_id: str = "a" * 32,
    name: str = "demo",
    variant: str | None = None,
    flow_run_id: str | None = None,
    **parts: dict[str, object],
) -> PipelineRecord:
    empty: dict[str, object] = {}
    return PipelineRecord(
        run_id,
        name,
        "FINISHED",
        0,
        parts.get("parameters", empty),  # type: ignore[arg-type]
        parts.get("metrics", empty),  # type: ignore[arg-type]
        parts.get("artifacts", empty),  # type: ignore[arg-type]
        variant,
        flow_run_id,
    )


RUNS = [record("ab12" + "0" * 28, "demo"), record("ab13" + "0" * 28, "other"), record("cd00" + "0" * 28, "demo")]


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("last", 0),
        ("last~0", 0),
        ("last~2", 2),
        ("ab13", 1),
        (RUNS[2].run_id, 2),
        ("demo", 0),
        ("other", 1),
        ("cd00", 2),
    ],
)
def test_a_run_by_age_id_prefix_or_name(wanted: str, place: int) -> None:
    assert find_run(wanted, RUNS) is RUNS[place]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("last~3", "MLflow knows 3"),
        ("last~x", "There is no run"),
        ("zzzz", "The newest are ab120000 (demo)"),
        ("ab1", "There is no pipeline run"),  # too short to be an id
        ("", "There is no pipeline run"),
    ],
)
def test_a_run_that_is_not_there(wanted: str, reason: str) -> None:
    with pytest.raises(CompareError) as caught:
        find_run(wanted, RUNS)
    assert reason in str(caught.value)


# newest first: an A/B run, a plain one, and the A/B run before, of which a variant ran twice (Retry in Prefect)
AB = [
    record("e1" * 16, "ab@d6", "d6", "11112222-ab"),
    record("e2" * 16, "ab@d12", "d12", "11112222-ab"),
    record("e3" * 16, "demo", None, "33334444-demo"),
    record("e4" * 16, "ab@d12", "d12", "55556666-ab"),
    record("e5" * 16, "ab@d6", "d6", "55556666-ab"),
    record("e6" * 16, "ab@d6", "d6", "55556666-ab"),
]


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("last@d6", 0),
        ("last@d12", 1),
        ("last~1", 2),
        ("last~2@d12", 3),
        ("last~2@d6", 4),
        ("ab@d12", 1),
        ("demo", 2),
        ("e5e5", 4),
        ("e5e5@d12", 3),
        ("e1e1@d6", 0),
        ("11112222@d12", 1),
        ("3333", 2),
    ],
)
def test_a_variant_of_a_run(wanted: str, place: int) -> None:
    assert find_run(wanted, AB) is AB[place]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("last", "The run 'last' has 2 variants; say which one: last@d12 or last@d6."),
        ("ab", "say which one: ab@d12 or ab@d6."),
        ("5555", "say which one: 5555@d6 or 5555@d12."),
        ("last@d7", "The run 'last' has no variant 'd7'; it has d12, d6."),
        ("last~1@d6", "The run 'last~1' has no variant 'd6'; it has no variants."),
        ("last@", "The run 'last' has no variant ''; it has d12, d6."),
        ("last~3@d6", "MLflow knows 3, so last~2 is the first"),
        ("@d6", "There is no pipeline run '@d6'"),
    ],
)
def test_a_variant_that_is_not_there_or_not_said(wanted: str, reason: str) -> None:
    with pytest.raises(CompareError) as caught:
        find_run(wanted, AB)
    assert reason in str(caught.value)


def test_a_prefix_of_two_runs_is_refused() -> None:
    runs = [record("abcd1" + "0" * 27), record("abcd2" + "0" * 27)]
    with pytest.raises(CompareError, match="2 runs"):
        find_run("abcd", runs)


def test_no_runs_at_all(home: object) -> None:
    assert pipeline_runs(Home.from_env()) == []
    with pytest.raises(CompareError, match="no pipeline run yet"):
        find_run("last", [])


def test_parameters_and_artifacts_that_differ() -> None:
    before = record(parameters={"a": "1", "b": "2"}, artifacts={"dedup": "dedup/1", "crawl": "crawl/1"})
    after = record(parameters={"a": "1", "b": "3", "c": "4"}, artifacts={"dedup": "dedup/2", "crawl": "crawl/1"})
    made = compare(before, after)
    assert [(c.name, c.before, c.after) for c in made.parameters] == [("b", "2", "3"), ("c", None, "4")]
    assert [(c.name, c.before, c.after) for c in made.artifacts] == [("dedup", "dedup/1", "dedup/2")]


def test_a_difference_is_called_one_only_beyond_the_noise() -> None:
    before = record(metrics={"acc": 0.30, "acc_stderr": 0.03, "loss": 2.0, "gone": 1.0})
    near = record(metrics={"acc": 0.38, "acc_stderr": 0.04, "loss": 2.0})
    far = record(metrics={"acc": 0.42, "acc_stderr": 0.04, "loss": 2.5})
    by_name = {change.name: change for change in compare(before, near).metrics}
    assert set(by_name) == {"acc", "loss", "gone"}
    acc = by_name["acc"]
    assert (acc.verdict, acc.stderr) == ("not distinguishable", pytest.approx(0.05))  # 3-4-5
    assert acc.difference == pytest.approx(0.08)
    assert by_name["loss"] == MetricChange("loss", 2.0, 2.0, 0.0, None, None)
    assert by_name["gone"] == MetricChange("gone", 1.0, None, None, None, None)
    assert compare(before, far).metrics[0].verdict == "different"
    earlier = record(metrics={"acc_base": 0.30, "acc_stderr_base": 0.03})
    (change,) = compare(earlier, earlier).metrics
    assert (change.name, change.verdict) == ("acc_base", "not distinguishable")


@pytest.mark.slow
def test_runs_come_from_mlflow_newest_first(home: object) -> None:
    from flows.servers.connect import init_mlflow
    from tasks.tracking.mlflow_client import Sender
    from tasks.tracking.watch import PIPELINE_EXPERIMENT

    place = Home.from_env().ensure()
    init_mlflow(place)
    client = Sender(place).client
    experiment = client.create_experiment(PIPELINE_EXPERIMENT)
    for number in range(2):
        tags = {"textmill.stage.dedup": f"built dedup/{number}", "textmill.stage.sft": "failed"}
        run = client.create_run(experiment, start_time=1000 + number, run_name=f"run-{number}", tags=tags)
        client.log_param(run.info.run_id, "dedup.threshold", number)
        client.log_metric(run.info.run_id, "evaluate.acc", 0.5)
        client.log_metric(run.info.run_id, "system/cpu", 0.5)
    newest, older = pipeline_runs(place)
    assert (newest.name, older.name) == ("run-1", "run-0")
    assert newest.artifacts == {"dedup": "dedup/1"}
    assert newest.metrics == {"evaluate.acc": 0.5}
    assert [change.name for change in compare(older, newest).parameters] == ["dedup.threshold"]
