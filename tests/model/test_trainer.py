"""model/trainer.py: accumulation equals a big batch, divergence stops in time, and kill -9 changes no bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.adapter import Adapter
from model.batches import Batch, Rollouts
from model.checkpoint import Checkpoints
from model.config import Runtime, Training
from model.gpt import GPT
from model.lora import adapt
from model.losses import IGNORE
from model.shape import GPTConfig
from model.trainer import Loss, StepReport, Trainer, TrainingDiverged

SHAPE = GPTConfig(vocab_size=64, n_layer=2, n_head=2, n_kv_head=1, d_model=32, d_ff=48, max_seq_len=16)
Fields = dict[str, str | float]
MUON: Fields = {"optimizer": "muon", "embedding_learning_rate": 2e-2, "momentum_warmup": 8}
QUIET = Runtime(threads=1, precision="float32", validate_every=0, checkpoint_seconds=1e9, log_every=5)


def batch_of(step: int) -> Batch:
    """Counting modulo 64 from random starts; the first `step % 3` targets of the first row are no targets."""
    rng = np.random.default_rng(step)
    windows = (rng.integers(0, 64, (4, 1)) + np.arange(17)) % 64
    batch = Batch.of_windows(windows)
    batch.targets[0, : step % 3] = IGNORE
    return batch


def trainer(
    folder: Path,
    steps: int = 12,
    runtime: Runtime = QUIET,
    fields: Fields | None = None,
    **callbacks: object,
) -> Trainer:
    training = Training(**{"steps": steps, "batch_size": 4, "learning_rate": 1e-2, **(fields or {})})
    return Trainer(GPT(SHAPE).initialise(0), batch_of, training, runtime, folder, **callbacks)  # type: ignore[arg-type]


def weights_equal(one: GPT, other: GPT) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(("fields", "steps"), [({}, 150), (MUON, 60)])
def test_it_learns_to_count(tmp_path: Path, fields: Fields, steps: int) -> None:
    history = trainer(tmp_path, steps, fields=fields).fit()
    assert history.steps[0]["loss"] > 3
    assert history.steps[-1]["loss"] < 0.1


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_accumulation_equals_the_whole_batch(tmp_path: Path, micro_batch: int) -> None:
    # rows have different numbers of targets: a mean of means would give another gradient
    whole = trainer(tmp_path / "a")
    parts = trainer(tmp_path / "b", runtime=QUIET.model_copy(update={"micro_batch": micro_batch}))
    one, other = (t._step(2, batch_of(2)) for t in (whole, parts))
    assert one == pytest.approx(other, rel=1e-5)
    for (name, mine), theirs in zip(whole.model.named_parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, msg=name, rtol=1e-4, atol=1e-6)


def test_reports_are_complete_and_unknown_is_none(tmp_path: Path) -> None:
    seen: list[StepReport] = []
    validated: list[tuple[int, bool]] = []

    def validate(model: GPT, step: int, last: bool) -> dict[str, float]:
        assert not model.training
        validated.append((step, last))
        return {"loss": 1.0}

    runtime = QUIET.model_copy(update={"validate_every": 5})
    history = trainer(tmp_path, runtime=runtime, report=seen.append, validate=validate).fit()
    assert [now.step for now in seen] == [5, 10, 12]
    assert validated == [(5, False), (10, False), (12, True)]
    assert [point["step"] for point in history.validations] == [5, 10, 12]
    last = seen[-1].metrics()
    assert last.pop("mfu") is None
    assert all(value is not None and np.isfinite(value) for value in last.values())
    assert seen[-1].tokens == sum(batch_of(step).n_valid for step in range(12))
    assert 0 <= seen[-1].data_wait_share <= 1


def test_divergence_stops_before_the_optimizer(tmp_path: Path) -> None:
    broken = trainer(tmp_path)
    with torch.no_grad():
        broken.model.norm.weight[0] = float("nan")
    before = {name: value.clone() for name, value in broken.model.state_dict().items()}
    with pytest.raises(
        TrainingDiverged, match=r"diverged at step 0: the loss is nan.*lower learning_rate \(0\.01\)"
    ) as said:
        broken.fit()
    assert "precision" not in str(said.value)  # float32 is what it has
    after = broken.model.state_dict()
    assert not broken.optimizer.state_dict()["parts"][0]["state"]
    assert all(torch.equal(after[name].nan_to_num(9), value.nan_to_num(9)) for name, value in before.items())


def test_a_batch_without_targets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="step 0 has no valid target"):
        trainer(tmp_path)._step(0, Batch(torch.zeros(1, 4).long(), torch.full((1, 4), IGNORE)))


def test_other_settings_do_not_continue_a_run(tmp_path: Path) -> None:
    trainer(tmp_path, steps=3).fit()
    with pytest.raises(ValueError, match=r"belongs to another run \(steps 3 → 4\)"):
        trainer(tmp_path, steps=4).fit()
    with pytest.raises(ValueError, match=r"belongs to another run \(optimizer 'adamw' → 'muon'"):
        trainer(tmp_path, steps=3, fields=MUON).fit()


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    first.fit()
    said: list[str] = []
    again = trainer(tmp_path, log=said.append)
    history = again.fit()
    assert weights_equal(first.model, again.model)
    assert [point["step"] for point in history.steps] == [5, 10, 12]
    assert "All 12 steps were done before" in said[-1]


@pytest.mark.parametrize("stop", [1, 7])
@pytest.mark.parametrize("fields", [{}, MUON])
@pytest.mark.parametrize(("precision", "micro_batch"), [("float32", 0), ("bfloat16", 3)])
def test_resuming_is_bit_identical(tmp_path: Path, stop: int, fields: Fields, precision: str, micro_batch: int) -> None:
    plain = QUIET.model_copy(update={"precision": precision, "micro_batch": micro_batch})
    whole = trainer(tmp_path / "whole", runtime=plain, fields=fields)
    whole.fit()

    def stop_here(step: int) -> Batch:
        if step == stop + 1:
            raise OSError("out of disk")
        return batch_of(step)

    every = plain.model_copy(update={"checkpoint_seconds": 0.0})
    halted = trainer(tmp_path / "cut", runtime=every, fields=fields)
    halted.batch_of = stop_here
    with pytest.raises(OSError, match="out of disk"):
        halted.fit()
    torch.manual_seed(123)
    resumed = trainer(tmp_path / "cut", runtime=every, fields=fields)
    history = resumed.fit()
    assert weights_equal(whole.model, resumed.model)
    assert history.steps == whole.history.steps  # the loss since the last report, too
    assert resumed.tokens_seen == whole.tokens_seen


def test_a_resumed_run_keeps_the_threads_it_was_begun_with(tmp_path: Path) -> None:
    first = trainer(tmp_path, runtime=QUIET.model_copy(update={"threads": 2}))
    first.fit()
    again = trainer(tmp_path, runtime=QUIET.model_copy(update={"threads": 0}))
    again.fit()
    assert again.threads == 2


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_trainer as t
runtime = t.QUIET.model_copy(update={{"checkpoint_seconds": 0.0}})
t.trainer(Path({folder!r}), 60, runtime, {fields!r}, report=lambda r: print(r.step, flush=True)).fit()
"""


@pytest.mark.parametrize("fields", [{}, MUON])
def test_kill_9_at_random_moments_changes_no_bit(tmp_path: Path, fields: Fields) -> None:
    code = RUN.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "killed"), fields=fields)
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()  # training has begun
        time.sleep(float(rng.uniform(0.0, 0.15)))
        os.kill(process.pid, signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills
    done = Checkpoints(tmp_path / "killed").steps()
    assert done
    resumed, whole = (trainer(tmp_path / name, 60, fields=fields) for name in ("killed", "whole"))
    resumed.fit()
    whole.fit()
    assert weights_equal(resumed.model, whole.model)
    assert resumed.history.steps == whole.history.steps


def rollouts(model: GPT, phase: int, stop: int | None = None) -> Rollouts:
    """Batches of which the first token is the one that the model itself finds likeliest, made once for each phase."""

    def batches_of(step: int) -> list[Batch]:
        if step == stop:
            raise OSError("out of disk")
        model.eval()
        with torch.no_grad():
            first = int(model(batch_of(step).inputs)[0, 0].argmax())
        made = [batch_of(step + place) for place in range(phase)]
        for one in made:
            one.inputs[:, 0] = first
        return made

    return Rollouts(batches_of, phase)


@pytest.mark.parametrize(("phase", "stop"), [(1, 5), (3, 6)])
def test_a_killed_run_with_rollouts_is_bit_identical(tmp_path: Path, phase: int, stop: int) -> None:
    def made(folder: Path, stop: int | None) -> Trainer:
        one = trainer(folder, runtime=QUIET.model_copy(update={"checkpoint_seconds": 0.0}))
        one.batch_of = rollouts(one.model, phase, stop)
        return one

    whole = made(tmp_path / "whole", None)
    whole.fit()
    with pytest.raises(OSError, match="out of disk"):
        made(tmp_path / "cut", stop).fit()
    assert all(step % phase == 0 for step in Checkpoints(tmp_path / "cut", 2).steps())
    resumed = made(tmp_path / "cut", None)
    resumed.fit()
    assert weights_equal(whole.model, resumed.model)


def test_an_objective_may_measure_and_divide_as_it_likes(tmp_path: Path) -> None:
    """Pairs of rows: the loss is per pair, what is measured is a mean over rows, whatever the micro-batches."""

    def pairs_of(step: int) -> Batch:
        return replace(batch_of(step), count=2, group=2, facts={"weight": torch.tensor([1.0, 2.0, 3.0, 4.0])})

    def objective(model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        assert len(batch.inputs) % 2 == 0
        weights = batch.facts["weight"]
        each = (model(batch.inputs).logsumexp(-1).mean(1) * weights).sum()
        return Loss(each, {"weight": (float(weights.sum()), len(weights))})

    said: list[StepReport] = []
    found = []
    for number, micro in enumerate((0, 1, 3)):
        runtime = QUIET.model_copy(update={"micro_batch": micro})
        one = trainer(tmp_path / str(number), steps=5, runtime=runtime, objective=objective, report=said.append)
        one.batch_of = pairs_of
        found.append(one.fit().steps[-1])
    assert [point["weight"] for point in found] == [2.5] * 3
    assert said[0].metrics()["weight"] == 2.5
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-4) == pytest.approx(found[2]["loss"], rel=1e-4)


def test_an_adapter_is_trained_alone_and_resumed_exactly(tmp_path: Path) -> None:
    def made(folder: Path) -> Trainer:
        one = trainer(folder, runtime=QUIET.model_copy(update={"checkpoint_seconds": 0.0}))
        adapt(one.model, Adapter(rank=2), seed=1)
        return Trainer(one.model, batch_of, one.training, one.runtime, folder)

    whole = made(tmp_path / "whole")
    whole.fit()
    start = GPT(SHAPE).initialise(0).state_dict()
    name = "layers.0.self_attn.q_proj"
    assert torch.equal(whole.model.state_dict()[f"{name}.base.weight"], start[f"{name}.weight"])
    saved = Checkpoints(tmp_path / "whole", 2).load_newest(lambda _: None)
    assert saved is not None
    assert all("lora_" in name for name in saved.weights)

    def stop_here(step: int) -> Batch:
        if step == 4:
            raise OSError("out of disk")
        return batch_of(step)

    halted = made(tmp_path / "cut")
    halted.batch_of = stop_here
    with pytest.raises(OSError, match="out of disk"):
        halted.fit()
    with pytest.raises(ValueError, match="does not hold the weights that this one trains"):
        trainer(tmp_path / "cut").fit()
    resumed = made(tmp_path / "cut")
    resumed.fit()
    assert weights_equal(whole.model, resumed.model)
