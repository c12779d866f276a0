"""The sft stage: the pretrained model learns to answer instructions, from the user's files or made from the corpus."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.stage import Artifact, Output, PermanentError, kinds, local_output, stage
from tasks.stage.work import fine_tuning
from tasks.training.sft.config import SftConfig
from tasks.training.sft.formats import Conversation
from tasks.training.sft.gather import Lesson, gather
from tasks.training.sft.instructions import fingerprint_of
from tasks.training.sft.measured import Measured, nats_of_answers
from tasks.training.sft.order import Reading
from tasks.training.sft.preflight import check
from tasks.training.sft.quotations import Quotations
from tasks.training.sft.replay import Replay
from tasks.training.train import loss_curve, train
from tasks.training.trained import load_trained
from tasks.training.written import model_contract, write_model

if TYPE_CHECKING:
    from model.batches import Batch
    from model.chat import Example
    from model.gpt import GPT
    from model.tokenizer import Tokenizer
    from model.trainer import Objective


def sources(config: SftConfig) -> str | None:
    """Return a fingerprint of the files that `data` names, so that the model is trained again if a file is edited."""
    return fingerprint_of(config.files())


def batches(config: SftConfig, inputs: Mapping[str, Artifact]) -> tuple[Callable[[int], Batch], Tokenizer]:
    """Return what makes the batch of a step, and the tokenizer, to show them."""
    from model.tokenizer import Tokenizer

    base = inputs["base"].path
    tokenizer = Tokenizer.load(base / "tokenizer")
    context = json.loads((base / "model.json").read_text())["config"]["max_seq_len"]
    with tempfile.TemporaryDirectory() as folder:  # for the lists of pairs that a training keeps
        kept, _ = gather(config, local_output(Path(folder)), inputs["corpus"], tokenizer, context)
    quotations = _quotations(config, inputs["corpus"], tokenizer, context)
    replay = _replay(config, inputs.get("tokens"), tokenizer, context)
    besides = [one for one in (quotations, replay) if one]
    return Reading(config, _by_source(kept), context, tokenizer.pad, besides).batch, tokenizer


@stage(
    makes=kinds.Model,
    headline=("validation_bits_per_byte",),
    version=1,
    contract=model_contract,
    sources=sources,
    check=check,
    gpu=True,
    work=fine_tuning,
    batches=batches,
)
def sft(
    config: SftConfig, out: Output, corpus: kinds.Corpus, base: kinds.Model, tokens: kinds.Tokens | None = None
) -> None:
    """Fine-tune on the answers only, and write the pairs to the model's folder; `tokens` are those of `replay`.

    `loss` and `validation_loss` are the mean cross-entropy of an answer's next token in nats, on training and on
    held-out pairs; `validation_bits_per_byte` is the validation loss in bits per byte of the answers. Lower is better.
    `samples_ended` is the share of sample answers that the model ended itself, before reaching the length limit. With
    `quotations`, `quoted_exact` is the share of questions about held-out pages that are answered by quoting the right
    passage word for word, `quoted_begun` the share whose signature and first three words are right, and
    `quoted_exact_before` and `quoted_begun_before` those of the base.
    """
    from model.hardware import choose_device

    model, tokenizer = load_trained(base)
    kept, held_out = gather(config, out, corpus, tokenizer, model.config.max_seq_len)
    training = config.training
    quotations = _quotations(config, corpus, tokenizer, model.config.max_seq_len)
    replay = _replay(config, tokens, tokenizer, model.config.max_seq_len)
    besides = [one for one in (quotations, replay) if one]
    reading = Reading(config, _by_source(kept), model.config.max_seq_len, tokenizer.pad, besides)
    drawn = reading.drawn()
    epochs = sum(row["epochs"] * row["examples"] for row in drawn) / len(kept)
    out.info(f"Fine-tuning on {len(kept):,} pairs for {training.steps:,} steps: {epochs:.2f} epochs.")
    if config.sources:
        out.table("mixture", drawn)
        out.metric(**{f"epochs_{row['source']}": row["epochs"] for row in drawn})
    if quotations:
        out.info(f"Besides, each step reads {config.quotations.count} made-up questions with a text to quote.")
    if replay:
        out.info(f"Besides, each step reads {config.replay} rows of text: {replay.epochs:.2f} epochs of it.")
    model.to(choose_device(config.runtime.device))
    examples = [lesson.example for lesson in held_out]

    def measured() -> Measured:
        return quotations.measured(model) if quotations else nats_of_answers(model, examples, tokenizer.pad)

    before = measured()
    history = train(
        out,
        model,
        training,
        config.runtime,
        reading.batch,
        lambda model, last: _validate(config, model, examples, tokenizer, last),
        objective=_noisy(config),
        adapter=config.adapter,
    )
    after = measured()
    out.metric(**{f"{name}_before": value for name, value in before.numbers.items()}, **after.numbers)
    if (gain := after.gain_over(before)) is not None:
        out.gain(gain)
    samples = list(_answers(config, model, [lesson.conversation for lesson in held_out], tokenizer))
    ended = sum(sample["ended"] for sample in samples) / len(samples) if samples else None
    out.metric(epochs=epochs, samples_ended=ended)
    if quotations:
        out.count(made_up=training.steps * config.quotations.count, quotations_asked=quotations.held_out)
    if replay:
        out.count(tokens_replayed=training.steps * config.replay * model.config.max_seq_len)
    out.figure("loss", loss_curve(history, "fine-tuning on answers"))
    write_model(out, model, tokenizer, samples, config.prompt)


def _quotations(config: SftConfig, corpus: Artifact, tokenizer: Tokenizer, context: int) -> Quotations | None:
    return Quotations(config, corpus, tokenizer, context) if config.quotations.count else None


def _replay(config: SftConfig, tokens: Artifact | None, tokenizer: Tokenizer, context: int) -> Replay | None:
    if not config.replay:
        return None
    if tokens is None:
        raise PermanentError("sft.replay reads tokens of the training pages, but the stage was given none.")
    return Replay(config, tokens, tokenizer, context)


def _by_source(lessons: Iterable[Lesson]) -> dict[str, list[Example]]:
    found: dict[str, list[Example]] = {}
    for lesson in lessons:
        found.setdefault(lesson.source, []).append(lesson.example)
    return found


def _noisy(config: SftConfig) -> Objective | None:
    from model.neftune import with_noise

    return with_noise(config.neftune) if config.neftune else None


def _validate(
    config: SftConfig, model: GPT, held_out: Sequence[Example], tokenizer: Tokenizer, last: bool
) -> dict[str, float]:
    from model.batches import answer_batch
    from model.validation import validation_loss

    size = config.training.batch_size
    chosen = held_out if last else held_out[: size * config.runtime.validate_batches]
    batches = (answer_batch(chosen[start : start + size], tokenizer.pad) for start in range(0, len(chosen), size))
    return validation_loss(model, batches, tokenizer.token_bytes())


def _answers(
    config: SftConfig, model: GPT, held_out: Iterable[Conversation], tokenizer: Tokenizer
) -> Iterator[dict[str, Any]]:
    """Yield held-out instructions with the expected answer and the model's, which is decoded greedily."""
    from model.chat import prompt_ids, stop_ids
    from model.generate import generate_batch

    asked = list(itertools.islice(held_out, config.samples))
    prompts = [
        prompt_ids(tokenizer, one.instruction, one.input, one.system, one.history, config.prompt) for one in asked
    ]
    texts = generate_batch(model, prompts, config.sample_tokens + 1, stop=stop_ids(tokenizer, config.prompt))
    for one, made in zip(asked, texts, strict=True):
        yield {
            **one.row(),
            "answer": tokenizer.decode(made.ids[: config.sample_tokens]),
            "ended": made.ended,
        }
