"""The distil stage: a student is trained on text and on what its teacher found likely there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from data_lake.tokens.order import draws_of_step, shuffled
from model.shape import GPTConfig
from tasks.compression.distil.config import DistilConfig
from tasks.compression.distil.preflight import check
from tasks.compression.teacher.stage import IDS, LOG_PROBS, WINDOWS
from tasks.compression.windows import windows_of
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.work import pretraining
from tasks.training.train import loss_curve, train
from tasks.training.written import model_contract, write_model

if TYPE_CHECKING:
    import torch

    from model.batches import Batch
    from model.gpt import GPT
    from model.trainer import Loss, Objective


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete."""
    yield from model_contract(artifact)


@stage(
    makes=kinds.Model,
    headline=("validation_bits_per_byte",),
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=pretraining,
)
def distil(
    config: DistilConfig, out: Output, logits: kinds.TeacherLogits, tokens: kinds.Tokens, tokenizer: kinds.Tokenizer
) -> None:
    """Train the student from random weights, or continue from the newest checkpoint of an interrupted attempt.

    `loss` is soft · temperature² · divergence + (1 - soft) · cross entropy, in nats per token; `divergence` and
    `cross_entropy` are its parts. `validation_bits_per_byte` is that of held-out text, as in pretraining.
    """
    from model.batches import Batch
    from model.gpt import GPT
    from model.tokenizer import Tokenizer
    from model.validation import validation_loss

    loaded = Tokenizer.load(tokenizer.path)
    length, training = logits.counts["seq_len"], config.training
    if length != config.model.max_seq_len:
        raise PermanentError(
            f"The teacher read windows of {length:,} tokens, but the student's context is "
            f"{config.model.max_seq_len:,}; leave teacher.seq_len out."
        )
    data, held_out = windows_of(tokens, "train", length), windows_of(tokens, "val", length)
    if data.tokenizer_sha256 != loaded.sha256:
        raise PermanentError(f"{tokens.name} has the tokens of another tokenizer than {tokenizer.name}.")
    ids, log_probs = (np.load(logits.path / name, mmap_mode="r") for name in (IDS, LOG_PROBS))
    windows = np.load(logits.path / WINDOWS)
    model = GPT(GPTConfig(vocab_size=loaded.vocab_size, **config.model.model_dump())).initialise(training.seed)

    def batch_of(step: int) -> Batch:
        rows = shuffled(draws_of_step(step, training.batch_size), len(windows), training.seed)
        return _taught(Batch.of_windows(data.batch(windows[rows])), ids[rows], log_probs[rows])

    def validate(network: GPT, last: bool) -> dict[str, float]:
        count = len(held_out) if last else min(len(held_out), training.batch_size * config.runtime.validate_batches)
        chosen = np.linspace(0, len(held_out) - 1, count).round().astype(int)
        parts = (chosen[at : at + training.batch_size] for at in range(0, count, training.batch_size))
        return validation_loss(
            network, (Batch.of_windows(held_out.batch(part)) for part in parts), loaded.token_bytes()
        )

    epochs = training.steps * training.batch_size / len(windows)
    out.info(
        f"Teaching {model.count_parameters():,} weights for {training.steps:,} steps: {epochs:.2f} epochs of the "
        f"{len(windows):,} windows that the teacher read."
    )
    objective = _objective(config, float(logits.metrics["temperature"] or 1.0))
    history = train(out, model, training, config.runtime, batch_of, validate, objective=objective)
    out.metric(epochs=epochs)
    out.figure("loss", loss_curve(history, f"distillation ({config.divergence})"))
    write_model(out, model, loaded, [])


def _taught(batch: Batch, ids: np.ndarray, log_probs: np.ndarray) -> Batch:
    import torch

    return replace(
        batch,
        facts={
            "teacher_ids": torch.from_numpy(ids.astype(np.int64)),
            "teacher_log_probs": torch.from_numpy(log_probs.astype(np.float32)),
        },
    )


def _objective(config: DistilConfig, temperature: float) -> Objective:
    from model.distillation import distillation_sums
    from model.trainer import Loss

    def objective(model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        apart, hard = distillation_sums(model, batch, dtype, config.divergence, temperature)
        total = config.soft * temperature**2 * apart + (1 - config.soft) * hard
        count = float(batch.n_valid)
        return Loss(total, {"divergence": (apart.item(), count), "cross_entropy": (hard.item(), count)})

    return objective
