"""What tracking costs a training: processor time of everything that tracks, as a share of the training's.

Wall time of two runs differs by more than the 1 % in question; processor time does not. The training is the demo's
model at the demo's batch, tracked as the pipeline tracks it: step metrics, system metrics, MLflow's own database.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from data_lake.home import Home
from flows.servers import init_mlflow
from tasks.system_metrics import SystemMetrics
from tasks.tracking import Tracker

STEPS = 100
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.benchmark
def test_tracking_costs_at_most_one_percent_of_a_training(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from mlflow import MlflowClient  # its import is not training time, and no training waits for it

    from model.config import GPTConfig
    from model.gpt import GPT

    torch.set_num_threads(1)
    textmill = Home.from_env().ensure()
    init_mlflow(textmill)
    model = GPT(GPTConfig(vocab_size=4096)).initialise(0)
    optimizer = torch.optim.AdamW(model.parameters())
    generator = torch.Generator().manual_seed(0)

    def train(on_step: object = None) -> float:
        started = time.process_time()
        for step in range(STEPS):
            ids = torch.randint(0, 4096, (4, 257), generator=generator)
            logits = model(ids[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if callable(on_step) and step % 10 == 0:
                on_step(step, loss.item())
        return time.process_time() - started

    train()  # warm
    plain = train()
    tracker = Tracker(textmill)
    run = tracker.start_run("textmill/cost", "cost", {}, {"steps": STEPS})
    system = SystemMetrics(run.metrics)
    names = ("lr", "grad_norm", "tokens_per_second", "data_wait_share", "peak_memory_bytes", "tokens")
    tracked = train(lambda step, loss: run.metrics({"loss": loss, **dict.fromkeys(names, 1.0)}, step))
    system.stop()
    run.finish("FINISHED")
    assert tracker.close() is None
    assert MlflowClient(tracking_uri=textmill.mlflow_uri).get_experiment_by_name("textmill/cost") is not None
    share = (tracked - plain) / plain
    row = {
        "tracking_cost": {"ours": tracked, "rivals": {"untracked": plain}, "ratio": tracked / plain, "unit": "cpu s"}
    }
    (ROOT / ".bench").mkdir(exist_ok=True)
    (ROOT / ".bench" / "tracking.json").write_text(json.dumps(row, indent=1))
    with capsys.disabled():
        print(f"\ntracking: {share:+.2%} processor time over {STEPS} steps ({tracked:.1f} s against {plain:.1f} s)")
