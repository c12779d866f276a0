"""The trainer: one loop for all training stages, from any step to the last, bit-identical however often it is killed.

It knows models, batches and objectives but nothing about tracking: it reports progress through callbacks.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.utils.deterministic
from torch import Tensor

from model.batches import Batch, BatchOf, Prefetcher, Rollouts
from model.checkpoint import Checkpoint, Checkpoints
from model.config import Runtime, Training
from model.cores import usable_cores
from model.gpt import GPT
from model.hardware import choose_device, choose_dtype, peak_flops, peak_memory, torch_threads
from model.losses import linear_cross_entropy_sum
from model.optim import build_optimizer
from model.packed import states_of
from model.schedule import learning_rate

Measures = Mapping[str, tuple[float, float]]
"""By name a sum and the number of things it is over, such as (right answers, answers); reported as their quotient."""


@dataclass(frozen=True)
class Loss:
    """The summed loss of a (micro-)batch, and what else was measured on the way."""

    total: Tensor
    measures: Measures = field(default_factory=dict)


Objective = Callable[[GPT, Batch, torch.dtype], Tensor | Loss]
"""The summed loss of a (micro-)batch; the trainer divides by the whole step's `count` or valid targets."""

Validate = Callable[[GPT, int, bool], Mapping[str, float]]
"""Called with the model, the number of steps done and whether this is the last validation; returns named numbers."""


class TrainingDiverged(Exception):
    """The loss or the gradient is not finite; continuing would only write it into the weights."""


def next_token_loss(model: GPT, batch: Batch, dtype: torch.dtype) -> Tensor:
    """Return the summed cross entropy of the batch's targets: the objective of every network that writes texts."""
    return linear_cross_entropy_sum(states_of(model, batch), model.output_weight, batch.targets, dtype)


@dataclass(frozen=True)
class StepReport:
    """What the callback gets every `log_every` steps; loss, rates and shares are over those steps.

    The loss includes any of these steps that a killed process did before its checkpoint; the speeds cover this process
    only, in input tokens that are not padding.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    tokens_per_second: float
    data_wait_share: float
    peak_memory_gib: float
    mfu: float | None
    measures: Mapping[str, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, float | None]:
        """All numbers except the step, by name."""
        numbers = {name: value for name, value in vars(self).items() if name not in ("step", "measures")}
        return numbers | dict(self.measures)


@dataclass
class History:
    """The curve of a run so far. It is saved in the checkpoints, so a resumed run still draws all of it."""

    steps: list[dict[str, float]] = field(default_factory=list)
    validations: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """Trains a model from its newest checkpoint, or from the start, to the last step."""

    def __init__(
        self,
        model: GPT,
        batch_of: BatchOf | Rollouts,
        training: Training,
        runtime: Runtime,
        checkpoints: Path,
        *,
        objective: Objective = next_token_loss,
        validate: Validate | None = None,
        report: Callable[[StepReport], None] = lambda _: None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.batch_of, self.training, self.runtime = batch_of, training, runtime
        self.objective, self.validate, self.report, self.log = objective, validate, report, log
        self.device = choose_device(runtime.device)
        self.model = model.to(self.device)
        self.optimizer = build_optimizer(self.model, training)
        self.checkpoints = Checkpoints(checkpoints, runtime.keep_checkpoints)
        self.history = History()
        self.window: list[float] = []  # losses of the steps since the last report
        self.measured: dict[str, tuple[float, float]] = {}  # and what else was measured in them
        self.tokens_seen = 0
        self.dtype = choose_dtype(runtime.precision, self.device)
        self.threads = runtime.threads or min(8, usable_cores())

    def fit(self) -> History:
        """Train to the last step and return the curve; the model is left in eval mode.

        Raises TrainingDiverged when a loss or gradient is not finite, before the optimizer has used it.
        """
        step = self._resume()
        with _deterministic(self.threads):
            self._loop(step)
        self.model.eval()
        return self.history

    # -- the loop ------------------------------------------------------------------------------------------------------

    def _loop(self, start: int) -> None:
        training, runtime = self.training, self.runtime
        saved = time.perf_counter()
        meter = _Meter(self, start)
        own = self.batch_of
        with own if isinstance(own, Rollouts) else Prefetcher(own, start, training.steps) as batches:
            for step in range(start, training.steps):
                batch = batches.take(step)
                self.model.train()
                loss, norm = self._step(step, batch)
                meter.add(loss, batch, norm)
                done = step + 1
                last = done == training.steps
                if done % runtime.log_every == 0 or last:
                    meter.emit(done, learning_rate(step, training), batches.waited)
                if last or (runtime.validate_every and done % runtime.validate_every == 0):
                    with meter.paused():
                        self._validate(done, last)
                due = time.perf_counter() - saved >= runtime.checkpoint_seconds
                if last or (due and batches.whole(done)):
                    with meter.paused():
                        self._save(done)
                    saved = time.perf_counter()
        if start == training.steps:
            self.log(f"All {start} steps were done before; their checkpoint is used.")

    def _step(self, step: int, batch: Batch) -> tuple[float, float]:
        """Do one optimizer step; return the mean loss in nats per valid target and the gradient's norm unclipped."""
        self.optimizer.zero_grad()
        n_valid = batch.n_valid
        if n_valid == 0:
            raise ValueError(f"The batch of step {step} has no valid target; there is nothing to learn from it.")
        count = n_valid if batch.count is None else batch.count
        total = 0.0
        for micro in batch.split(self.runtime.micro_batch):
            with self._autocast():
                found = self.objective(self.model, micro.to(self.device), self.dtype)
            loss = found.total if isinstance(found, Loss) else found
            (loss / count).backward()
            total += loss.item()
            if isinstance(found, Loss):
                self._measure(found.measures)
        limit = self.training.grad_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise TrainingDiverged(
                f"Training diverged at step {step}: the loss is {total / count:.4g}, the gradient's norm {norm:.4g}. "
                f"The weights still are those of the step before. {self._way_out()}"
            )
        self.optimizer.step(step, self.dtype)
        self.tokens_seen += n_valid
        return total / count, norm

    def _measure(self, measures: Measures) -> None:
        for name, (value, over) in measures.items():
            before, number = self.measured.get(name, (0.0, 0.0))
            self.measured[name] = (before + value, number + over)

    def _way_out(self) -> str:
        training = self.training
        names = ("learning_rate", "embedding_learning_rate", "head_learning_rate")
        rates = {name: getattr(training, name) for name in names}
        if training.optimizer == "muon":
            rates["matrix_learning_rate"] = training.matrix_learning_rate
        lower = " and ".join(f"{name} ({rate:g})" for name, rate in rates.items() if rate is not None)
        advice = [f"lower {lower}", f"lengthen warmup ({training.warmup:g})"]
        if training.grad_clip == 0:
            advice.append("set grad_clip, which is off")
        if self.dtype != torch.float32:
            advice.append("set precision=float32")
        return f"Try one of these: {', '.join(advice)}."

    def _validate(self, done: int, last: bool) -> None:
        if self.validate is None:
            return
        self.model.eval()
        with torch.inference_mode(), self._autocast():
            numbers = dict(self.validate(self.model, done, last))
        self.history.validations.append({"step": done, **numbers})

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def _save(self, done: int) -> None:
        state = {
            "settings": self._settings(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
            "tokens_seen": self.tokens_seen,
            "threads": self.threads,
            "dtype": str(self.dtype).removeprefix("torch."),
            "steps": self.history.steps,
            "validations": self.history.validations,
            "window": self.window,
            "measured": self.measured,
        }
        self.checkpoints.save(done, trained_weights(self.model), state)

    def _resume(self) -> int:
        """Restore the newest intact checkpoint and return the number of steps done."""
        found = self.checkpoints.load_newest(self.log)
        if found is None:
            torch.manual_seed(self.training.seed)
            return 0
        self._check_same_run(found)
        state = found.state
        self._take_over(found.weights)
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self.tokens_seen = state["tokens_seen"]
        self.history = History(state["steps"], state["validations"])
        self.window, self.measured = state["window"], state["measured"]
        # float sums depend on how they are split among threads: an automatic thread count stays as in the first run
        if self.runtime.threads == 0:
            self.threads = state["threads"]
        if self.runtime.precision == "auto" and self.device.type == "cpu":
            self.dtype = getattr(torch, state["dtype"])
        self.log(f"Training continues from the checkpoint after step {found.step} of {self.training.steps}.")
        return found.step

    def _take_over(self, weights: dict[str, Tensor]) -> None:
        expected = trained_weights(self.model).keys()
        if expected != weights.keys():
            odd = sorted(expected ^ weights.keys())[0]
            raise ValueError(
                f"The checkpoint in {self.checkpoints.folder} belongs to another run, as it does not hold the weights "
                f"that this one trains ({odd}); delete the folder to start again."
            )
        self.model.load_state_dict(weights, strict=False)

    def _settings(self) -> dict[str, Any]:
        return {**self.model.config.model_dump(), **self.training.model_dump()}

    def _check_same_run(self, found: Checkpoint) -> None:
        then, now = found.state["settings"], self._settings()
        changed = [f"{name} {then.get(name)!r} → {now.get(name)!r}" for name in now if then.get(name) != now.get(name)]
        if changed:
            raise ValueError(
                f"The checkpoint in {self.checkpoints.folder} belongs to another run ({'; '.join(changed)}); "
                "delete the folder to start again."
            )


def trained_weights(model: GPT) -> dict[str, Tensor]:
    """Return the weights that training changes; those that are frozen are in the base model's folder already."""
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    return {name: weight for name, weight in model.state_dict().items() if name not in frozen}


class _Meter:
    """Adds up what happened since the last report; validation and checkpoints do not count as training time."""

    def __init__(self, trainer: Trainer, start: int) -> None:
        self.trainer = trainer
        self.flops_peak = peak_flops(trainer.device, trainer.dtype)
        self._reset(0.0)

    def _reset(self, waited: float) -> None:
        self.began, self.pause, self.waited = time.perf_counter(), 0.0, waited
        self.norm, self.tokens, self.seq_len = 0.0, 0, 1

    def add(self, loss: float, batch: Batch, norm: float) -> None:
        self.trainer.window.append(loss)
        self.norm = norm
        self.tokens += batch.n_tokens
        self.seq_len = batch.inputs.shape[1]

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.pause += time.perf_counter() - began

    def emit(self, done: int, rate: float, waited: float) -> None:
        trainer = self.trainer
        seconds = max(time.perf_counter() - self.began - self.pause, 1e-9)
        speed = self.tokens / seconds
        flops = trainer.model.flops_per_token(self.seq_len) * speed
        loss = sum(trainer.window) / len(trainer.window)
        measures = {name: value / over for name, (value, over) in trainer.measured.items() if over}
        trainer.window, trainer.measured = [], {}
        point = {"step": done, "loss": loss, "learning_rate": rate, "grad_norm": self.norm}
        trainer.history.steps.append(point | measures)
        trainer.report(
            StepReport(
                step=done,
                loss=loss,
                learning_rate=rate,
                grad_norm=self.norm,
                tokens=trainer.tokens_seen,
                tokens_per_second=speed,
                data_wait_share=(waited - self.waited) / seconds,
                peak_memory_gib=peak_memory(trainer.device) / 2**30,
                mfu=flops / self.flops_peak if self.flops_peak else None,
                measures=measures,
            )
        )
        self._reset(waited)


@contextlib.contextmanager
def _deterministic(threads: int) -> Iterator[None]:
    """Fix the thread count and choose deterministic kernels for the duration of a training run."""
    before = torch.are_deterministic_algorithms_enabled()
    settings: Any = torch.utils.deterministic
    filling = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings.fill_uninitialized_memory = False  # filling would cost a pass over every new tensor
    try:
        with torch_threads(threads):
            yield
    finally:
        torch.use_deterministic_algorithms(before)
        settings.fill_uninitialized_memory = filling
