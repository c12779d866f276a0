"""flows/comparing/runs.py: which run is meant."""

from __future__ import annotations

import pytest

from data_lake.store.home import Home
from flows.comparing.runs import CompareError, PipelineRecord, find_run, pipeline_runs


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
        ("othr", "Did you mean other?"),
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
        ("last@d21", "Did you mean d12?"),
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
    assert (older.parameters, newest.parameters) == ({"dedup.threshold": "0"}, {"dedup.threshold": "1"})
