"""flows/comparing/tracked.py: a comparison that is kept is an MLflow run with a figure, and artifacts in Prefect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_lake.store.home import Home
from flows.comparing.comparison import Comparison, compare
from flows.comparing.tracked import EXPERIMENT, differences_figure, leave_in_prefect, log_comparison, table_of
from flows.servers.mlflow_db import init_mlflow
from tasks.tracking.mlflow_client import Sender
from tests.evaluations import Runs

WEAK = [n % 4 == 0 for n in range(80)]
STRONG = [n % 4 < 3 for n in range(80)]


@pytest.fixture
def compared(made: Runs) -> Comparison:
    for depth, right in ((6, WEAK), (12, STRONG), (24, WEAK[::-1])):
        made.run(right, [700.0 - n * depth / 10 for n in range(12)], depth=depth)
    return compare(["last~2", "last~1", "last"], Home.from_env())


def test_the_figure_has_a_panel_for_each_pair_and_scale_and_a_line_for_each_interval(compared: Comparison) -> None:
    panels = differences_figure(compared).axes
    assert len(panels) == 4
    assert "demo 00010001 minus demo 00000000" in panels[0].get_title("left")
    (interval,) = [line for line in panels[1].lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2]
    (acc,) = [row for row in compared.scores[0].rows if row.metric == "b_acc"]
    assert list(interval.get_xdata()) == [acc.low, acc.high]


def test_prefect_has_the_text_and_the_rows(compared: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    import prefect.artifacts

    left: dict[str, Any] = {}
    monkeypatch.setattr(
        prefect.artifacts, "create_markdown_artifact", lambda markdown, key, **_: left.update({key: markdown})
    )
    monkeypatch.setattr(prefect.artifacts, "create_table_artifact", lambda table, key, **_: left.update({key: table}))
    leave_in_prefect(compared)
    assert "b_acc" in left["comparison"]
    assert left["comparison-rows"] == table_of(compared)
    assert [row["verdict"] for row in table_of(compared) if row["metric"] == "b_acc"] == [
        "better", "not distinguishable",
    ]  # fmt: skip


@pytest.mark.slow
def test_mlflow_has_a_run_of_its_own(compared: Comparison) -> None:
    home = Home.from_env().ensure()
    init_mlflow(home)
    assert log_comparison(compared, home) is None
    sender = Sender(home)
    experiment = sender.client.get_experiment_by_name(EXPERIMENT)
    (run,) = sender.client.search_runs([experiment.experiment_id])
    assert run.data.params == {f"subject.{n}": one.name for n, one in enumerate(compared.subjects)}
    assert run.data.tags["textmill.compared.1"] == "0001" * 8
    rows = {row.metric: row for row in compared.scores[1].rows}
    assert run.data.metrics["pretrain.b_acc.1.difference"] == rows["b_acc"].difference
    assert run.data.metrics["pretrain.bits_per_byte.1.p"] == rows["bits_per_byte"].p_adjusted
    assert (sender.artifact(run.info.run_id, "figures/differences.png") or b"").startswith(b"\x89PNG")
    kept = json.loads(sender.artifact(run.info.run_id, "comparison.json") or b"")
    assert kept["scores"] == json.loads(json.dumps(compared.to_json()["scores"]))
