"""What tracking costs a training: its processor time per second, measured where nothing else runs.

The processor time of two equal trainings differs by 3 % here, tracked or not, so a difference of two runs cannot show
a cost of 1 %. Instead everything that tracks works at the demo's pace (seven numbers twice a second, system metrics,
MLflow's own database) beside a sleeping main thread, and is charged to one core as if the training had only that.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from data_lake.store.home import Home
from flows.servers.connect import init_mlflow
from tasks.tracking.system_metrics import SystemMetrics
from tasks.tracking.watch import Tracker

SECONDS = 20
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.benchmark
def test_tracking_costs_at_most_one_percent_of_a_training(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    textmill = Home.from_env().ensure()
    init_mlflow(textmill)
    tracker = Tracker(textmill)
    run = tracker.start_run("textmill/cost", "cost", {}, {})
    system = SystemMetrics(run.metrics)
    time.sleep(8)  # imports and the experiment: once per run, not per step
    started, processor = time.monotonic(), time.process_time()
    names = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "data_wait_share", "peak_memory", "tokens")
    for step in range(2 * SECONDS):
        run.metrics(dict.fromkeys(names, 1.0), step)
        time.sleep(0.5)
    share = (time.process_time() - processor) / (time.monotonic() - started)
    system.stop()
    run.finish("FINISHED")
    assert tracker.close() is None
    row = {"tracking_cost": {"ours": share, "rivals": {}, "ratio": share, "unit": "processor s per s of one core"}}
    (ROOT / ".bench").mkdir(exist_ok=True)
    (ROOT / ".bench" / "tracking.json").write_text(json.dumps(row, indent=1))
    with capsys.disabled():
        print(f"\ntracking: {share:.2%} of one core")
    assert share <= 0.01
