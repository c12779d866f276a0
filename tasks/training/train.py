"""Code shared by all training stages: training and its report, writing a model's files, and their contract."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_jsonl
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.figures import curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from model.adapter import Adapter
    from model.batches import Batch, Rollouts
    from model.config import Runtime, Training
    from model.gpt import GPT
    from model.tokenizer import Tokenizer
    from model.trainer import History, Objective, StepReport


def train(
    out: Output,
    model: GPT,
    training: Training,
    runtime: Runtime,
    batch_of: Callable[[int], Batch] | Rollouts,
    validate: Callable[[GPT, bool], dict[str, float]],
    *,
    objective: Objective | None = None,
    adapter: Adapter | None = None,
) -> History:
    """Train the model in place, report steps, validations and results, and return the measurements.

    `batch_of(step)` returns the batch of a step, `validate(model, last)` the results of a validation; `objective` is
    the loss, None = that of the next token. With an adapter, only it is trained; it is written to the folder `adapter`
    and merged into the model. Resumes from the newest checkpoint in `out.work`. Raises PermanentError if the training
    diverges or cannot be set up.
    """
    from model.lora import adapt, merge, save_adapter, trainable_share
    from model.trainer import Trainer, TrainingDiverged, next_token_loss

    def report(now: StepReport) -> None:
        out.log(now.metrics(), step=now.step)
        out.progress(now.step, training.steps, "steps", f"loss {now.loss:.3f}, {now.tokens_per_second:,.0f} tokens/s")

    def validated(model: GPT, step: int, last: bool) -> dict[str, float]:
        numbers = validate(model, last)
        out.log({f"validation_{name}": value for name, value in numbers.items()}, step=step)
        return numbers

    folder = out.work / "checkpoints"
    try:
        if adapter is not None:
            adapt(model, adapter, training.seed)
            share = trainable_share(model)
            out.info(f"An adapter of rank {adapter.rank} is trained: {share:.2%} of all weights.")
            out.metric(trainable_share=share)
        trainer = Trainer(
            model,
            batch_of,
            training,
            runtime,
            folder,
            objective=objective or next_token_loss,
            validate=validated,
            report=report,
            log=out.info,
        )
        history = trainer.fit()
    except (TrainingDiverged, ValueError) as error:
        raise PermanentError(str(error)) from error
    if adapter is not None:
        save_adapter(model, adapter, out.dir / "adapter")
        merge(model)
    results = {name: value for name, value in history.validations[-1].items() if name != "step"}
    out.metric(train_loss=history.steps[-1]["loss"], **{f"validation_{name}": value for name, value in results.items()})
    out.count(steps=training.steps, tokens=trainer.tokens_seen)
    return history


def loss_curve(history: History, title: str) -> Figure:
    """Draw training and validation loss over the steps."""
    series = {"training": _points(history.steps)}
    if history.validations:
        series["validation"] = _points(history.validations)
    return curve(series, title, "step", "loss in nats per token")


def _points(numbers: list[dict[str, float]]) -> tuple[list[float], list[float]]:
    return [point["step"] for point in numbers], [point["loss"] for point in numbers]


def write_model(
    out: Output,
    model: GPT,
    tokenizer: Tokenizer,
    samples: Iterable[Mapping[str, Any]],
    chat_template: str | None = None,
) -> None:
    """Write a model's folder: weights, config, tokenizer and samples. Nothing else is needed to use the model.

    chat_template: the name of the chat template that the model was taught, None if it only continues texts.
    Raises PermanentError if a weight is not finite.
    """
    import torch

    from model.folder import save_model

    broken = [name for name, weight in model.state_dict().items() if not torch.isfinite(weight).all()]
    if broken:
        raise PermanentError(f"The weights of {', '.join(broken[:3])} are not finite; lower the learning rate.")
    rows = list(samples)
    write_jsonl(out.dir / "samples.jsonl", rows)
    if rows:
        out.table("samples", rows)
    tokenizer.save(out.dir / "tokenizer")
    save_model(model, out.dir, tokenizer_sha256=tokenizer.sha256, chat_template=chat_template)
    out.count(parameters=model.count_parameters())


def model_contract(artifact: Artifact) -> Iterator[str]:
    """Check that a trained model is complete, and that its metrics are finite."""
    yield from whole_model(artifact)
    for name in ("train_loss", "validation_loss", "validation_bits_per_byte"):
        value = artifact.metrics.get(name, math.nan)
        if value is None or not math.isfinite(value):
            yield f"The metric {name} is {value}, not a number."
    if not artifact.counts.get("steps"):
        yield "No optimizer step was counted."


def whole_model(artifact: Artifact) -> Iterator[str]:
    """Check that a model is complete, and that its vocabulary is that of its tokenizer.

    Only the headers are read, so that checking a cached artifact needs neither torch nor the weights.
    """
    described = json.loads((artifact.path / "model.json").read_text())
    tokenizer = json.loads((artifact.path / "tokenizer" / "tokenizer.json").read_text())
    if described.get("tokenizer_sha256") != tokenizer["sha256"]:
        yield (
            f"model.json names tokenizer {str(described.get('tokenizer_sha256'))[:16]}, but the folder holds "
            f"{tokenizer['sha256'][:16]}."
        )
    vocab_size = described["config"]["vocab_size"]
    if vocab_size != tokenizer["vocab_size"]:
        yield f"The model has {vocab_size:,} token ids, its tokenizer {tokenizer['vocab_size']:,}."
    rows = safetensors_header(artifact.path / "model.safetensors")["embed_tokens.weight"]["shape"][0]
    if rows != vocab_size:
        yield f"The embedding has {rows:,} rows, but the vocabulary {vocab_size:,} ids."


def safetensors_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: {tensor: {dtype, shape, data_offsets}}."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))
