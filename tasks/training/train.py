"""Code shared by all training stages: training, its report and its curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.stage import Output, PermanentError
from tasks.stage.figures import curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from model.adapter import Adapter
    from model.batches import Batch, Rollouts
    from model.config import Runtime, Training
    from model.gpt import GPT
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
    from model.hardware import peak_memory
    from model.lora import adapt, merge, save_adapter, trainable_share
    from model.quantising import refuse_quantised
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
        refuse_quantised(model, "cannot be trained")
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
    out.metric(peak_memory_gib=peak_memory(trainer.device) / 2**30)
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
