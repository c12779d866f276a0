"""The seq2seq stage: an encoder-decoder learns from pairs to write the target of a source."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_jsonl, write_whole
from data_lake.tokens.order import draws_of_step, shuffled
from model.shape import GPTConfig
from tasks.stage import Artifact, Output, kinds, local_output, stage
from tasks.stage.gains import paired
from tasks.stage.work import pretraining
from tasks.training.seq2seq.config import Seq2SeqConfig
from tasks.training.seq2seq.fitting import Lesson, fit
from tasks.training.seq2seq.measures import measure
from tasks.training.seq2seq.preflight import check
from tasks.training.train import loss_curve, train
from tasks.training.written import model_contract, write_model

if TYPE_CHECKING:
    from model.batches import Batch
    from model.gpt import GPT
    from model.tokenizer import Tokenizer

TRANSLATIONS, MEASURES = "translations.jsonl", "measures.json"
READ_AT_ONCE = 64  # sources for which texts are written together


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete, and that the measures are of as many texts as were written."""
    yield from model_contract(artifact)
    lines = (artifact.path / TRANSLATIONS).read_text("utf-8").count("\n")
    if lines != artifact.counts["measured_pairs"]:
        yield f"{TRANSLATIONS} has {lines:,} lines, the stage counted {artifact.counts['measured_pairs']:,}."


def batches(config: Seq2SeqConfig, inputs: Mapping[str, Artifact]) -> tuple[Callable[[int], Batch], Tokenizer]:
    """Return what makes the batch of a step, and the tokenizer, to show them."""
    from model.tokenizer import Tokenizer

    loaded = Tokenizer.load(inputs["tokenizer"].path)
    with tempfile.TemporaryDirectory() as folder:  # for the list of pairs that a training puts aside
        lessons = fit(config, local_output(Path(folder)), inputs["pairs"], loaded)
    return _batch_of(config, lessons["train"], loaded), loaded


@stage(
    makes=kinds.Model,
    headline=("validation_bits_per_byte", "exact_match", "chrf"),
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=pretraining,
    batches=batches,
)
def seq2seq(config: Seq2SeqConfig, out: Output, pairs: kinds.Pairs, tokenizer: kinds.Tokenizer) -> None:
    """Train from scratch, or continue from the newest checkpoint of an interrupted attempt.

    `loss` and `validation_loss` are the mean cross-entropy of a target's next token in nats, given the source and the
    target so far, on training and on held-out pairs; `validation_bits_per_byte` is the latter in bits per byte of the
    targets. `exact_match` is the share of held-out sources for which the model writes exactly the target, `chrf` the
    character F-score of all that it writes (0 to 100), both with the most likely token each time; `copy_exact_match`
    and `copy_chrf` are what copying the source would reach. `ended` is the share of texts that the model ended itself.
    """
    from model.gpt import GPT
    from model.tokenizer import Tokenizer

    loaded = Tokenizer.load(tokenizer.path)
    lessons = fit(config, out, pairs, loaded)
    learned = [lesson.ids for lesson in lessons["train"]]
    training = config.training
    model = GPT(GPTConfig(vocab_size=loaded.vocab_size, **config.model.model_dump())).initialise(training.seed)
    epochs = training.steps * training.batch_size / len(learned)
    out.info(
        f"Training {model.count_parameters():,} weights on {len(learned):,} pairs for {training.steps:,} steps: "
        f"{epochs:.2f} epochs."
    )
    history = train(
        out,
        model,
        training,
        config.runtime,
        _batch_of(config, lessons["train"], loaded),
        lambda model, last: _validate(config, model, lessons["val"], loaded, last),
    )
    longest = max(len(ids.target) for ids in learned)
    written = list(_translations(model, lessons["val"][: config.measured_pairs], loaded, longest))
    out.metric(epochs=epochs)
    _report(out, written)
    out.figure("loss", loss_curve(history, "learning from pairs"))
    write_model(out, model, loaded, written[: config.samples])


def _batch_of(config: Seq2SeqConfig, lessons: Sequence[Lesson], tokenizer: Tokenizer) -> Callable[[int], Batch]:
    """Return the function that makes the batch of a step: each pair comes once per epoch, reshuffled each time."""
    from model.seq2seq import pair_batch

    training = config.training

    def batch_of(step: int) -> Batch:
        chosen = shuffled(draws_of_step(step, training.batch_size), len(lessons), training.seed)
        return pair_batch([lessons[i].ids for i in chosen], tokenizer.pad)

    return batch_of


def _validate(
    config: Seq2SeqConfig, model: GPT, held_out: Sequence[Lesson], tokenizer: Tokenizer, last: bool
) -> dict[str, float]:
    from model.seq2seq import pair_batch
    from model.validation import validation_loss

    size = config.training.batch_size
    chosen = [lesson.ids for lesson in (held_out if last else held_out[: size * config.runtime.validate_batches])]
    batches = (pair_batch(chosen[start : start + size], tokenizer.pad) for start in range(0, len(chosen), size))
    return validation_loss(model, batches, tokenizer.token_bytes())


def _translations(
    model: GPT, held_out: Sequence[Lesson], tokenizer: Tokenizer, longest: int
) -> Iterator[dict[str, Any]]:
    """Yield held-out sources with the target and what the model writes, at most as long as any target it has seen."""
    from model.seq2seq import write_targets

    for start in range(0, len(held_out), READ_AT_ONCE):
        part = held_out[start : start + READ_AT_ONCE]
        sources = [lesson.ids.source for lesson in part]
        made = write_targets(model, sources, longest, tokenizer.bos, tokenizer.eos)
        for lesson, one in zip(part, made, strict=True):
            text = tokenizer.decode(one.ids).strip()
            yield {"source": lesson.source, "wanted": lesson.target, "written": text, "ended": one.ended}


def _report(out: Output, written: Sequence[dict[str, Any]]) -> None:
    """Write the texts and their measures, and report them; without texts, the measures are not known."""
    write_jsonl(out.dir / TRANSLATIONS, written)
    out.count(measured_pairs=len(written))
    names = ("exact_match", "exact_match_stderr", "chrf", "chrf_stderr")
    if not written:
        out.metric(**dict.fromkeys((*names, "copy_exact_match", "copy_chrf", "ended")))
        return
    sources, wanted, texts = ([row[name] for row in written] for name in ("source", "wanted", "written"))
    found, copied = measure(texts, wanted), measure(sources, wanted)
    write_whole(out.dir / MEASURES, json.dumps({"model": asdict(found), "copy": asdict(copied)}, indent=2) + "\n")
    out.metric(
        **{name: getattr(found, name) for name in names},
        copy_exact_match=copied.exact_match,
        copy_chrf=copied.chrf,
        ended=sum(row["ended"] for row in written) / len(written),
    )
    right, copied_right = ([float(row[name] == row["wanted"]) for row in written] for name in ("written", "source"))
    out.gain(paired("targets written exactly", "copying the source", copied_right, right))
    out.text("chrf_signature", found.signature)
