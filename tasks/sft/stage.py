"""The sft stage: the pretrained model learns to answer instructions, the user's own or the documentation's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from data_lake.documents import split_of
from data_lake.ledger import Tally
from data_lake.loader import permuted
from model.config import Optimization, Runtime
from tasks.sft.alpaca import alpaca_files, read_alpaca
from tasks.sft.pairs import Pair, completions_of, pairs_of
from tasks.splits import documents_of
from tasks.stage import Artifact, Execution, Output, PermanentError, StageConfig, stage
from tasks.training import TRAINING_CODE, load_trained, loss_curve, model_contract, train, write_jsonl, write_model

if TYPE_CHECKING:
    from model.chat import Example
    from model.gpt import GPT
    from model.tokenizer import Tokenizer


class SftConfig(StageConfig):
    """Which instructions, and how the model learns them."""

    data: tuple[str, ...] = Field(
        (), description="Alpaca files (json or jsonl, globs too); none = pairs made of the corpus"
    )
    validation: float = Field(0.05, ge=0, lt=1, description="share of the records in `data` held out, by hash")
    max_pairs: int = Field(20_000, ge=1, description="training pairs at most; which ones is decided by hash")
    answer_characters: int = Field(240, ge=20, description="longest answer made of a docstring, in whole sentences")
    lines_per_page: int = Field(8, ge=0, description="cut lines of each page that become pairs to finish")
    training: Optimization = Field(
        Optimization(steps=300, batch_size=16, learning_rate=5e-4, weight_decay=0.0),
        description="optimizer, schedule, length and batch of the fine-tuning",
    )
    samples: int = Field(8, ge=0, description="held-out instructions that the finished model answers")
    sample_tokens: int = Field(64, ge=1, description="tokens of such an answer at most")
    runtime: Runtime = Execution(Runtime(), description="hardware, splits and intervals; they never enter the key")


def sources(config: SftConfig) -> str | None:
    """Fingerprint of the files that `data` names, so that an edited file is a new training."""
    if not config.data:
        return None
    digest = hashlib.sha256()
    for path in alpaca_files(config.data):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@stage(
    version=1,
    code=[
        "tasks.sft",
        "tasks.prose",
        "tasks.pydoc_entries",
        "tasks.splits",
        "model.chat",
        "data_lake.documents",
        "data_lake.loader",
        "data_lake.tokens",
        *TRAINING_CODE,
    ],
    contract=model_contract,
    sources=sources,
    gpu=True,
)
def sft(
    config: SftConfig, out: Output, decontaminate: Artifact, tokenize: Artifact, tokenizer: Artifact, pretrain: Artifact
) -> None:
    """Fine-tune on the answers only; write the pairs beside the model."""
    from model.chat import answer_batch

    model, words = load_trained(pretrain)
    _check_tokenizer(tokenizer, words)
    pairs, held_out = _gather(config, out, decontaminate, tokenize, words, model.config.max_seq_len)
    settings = config.training
    examples = [example for _, example in pairs]

    def batch_of(step: int) -> Any:
        chosen = _order(step, settings.batch_size, len(examples), settings.seed)
        return answer_batch([examples[i] for i in chosen], words.pad)

    epochs = settings.steps * settings.batch_size / len(examples)
    out.info(f"Fine-tuning on {len(examples):,} pairs for {settings.steps:,} steps: {epochs:.2f} epochs.")
    history = train(
        out,
        model,
        settings,
        config.runtime,
        batch_of,
        lambda model, last: _validate(config, model, [example for _, example in held_out], words, last),
    )
    samples = list(_answers(config, model, [pair for pair, _ in held_out], words))
    ended = sum(sample["ended"] for sample in samples) / len(samples) if samples else None
    out.metric(epochs=epochs, samples_ended=ended)
    out.figure("loss", loss_curve(history, "fine-tuning on answers"))
    write_model(out, model, words, samples)


def _check_tokenizer(tokenizer: Artifact, words: Tokenizer) -> None:
    from model.tokenizer import Tokenizer

    current = Tokenizer.load(tokenizer.path)
    if current.sha256 != words.sha256:
        raise PermanentError(
            f"The pretrained model speaks tokenizer {words.sha256[:16]}, but this run's is {current.sha256[:16]}; "
            "run the pretrain stage again."
        )


def _gather(
    config: SftConfig, out: Output, decontaminate: Artifact, tokenize: Artifact, words: Tokenizer, context: int
) -> tuple[list[tuple[Pair, Example]], list[tuple[Pair, Example]]]:
    """Return training and held-out pairs that fit the context, write them out, and account for the others."""
    from model.chat import example

    tally = Tally("instruction pairs")
    rejected: list[dict[str, str]] = []
    kept: dict[str, list[tuple[Pair, Example]]] = {"train": [], "val": []}
    found = (
        _pairs_of_files(config, tally, rejected)
        if config.data
        else _pairs_of_documents(config, decontaminate, tokenize)
    )
    for split, pair in sorted(found, key=lambda item: _draw(item[1])):
        one = example(words, pair["instruction"], pair["input"], pair["output"])
        size = sum(len(text.encode()) for text in pair.values())
        if len(one.ids) > context + 1:
            tally.remove("longer than the context", size)
            rejected.append({**pair, "reason": f"{len(one.ids)} tokens, but the context has {context}"})
        elif len(kept[split]) >= config.max_pairs:
            tally.remove("beyond max_pairs", size)
        else:
            tally.keep(size)
            kept[split].append((pair, one))
    if not kept["train"]:
        raise PermanentError(
            "There is no instruction pair to train on. "
            + (f"Of {', '.join(config.data)} no record is usable; see the reasons in the log. " if config.data else "")
            + "The pages have no line of prose that could be one; set sft.data to Alpaca files."
        )
    if not kept["val"]:  # a handful of pairs may leave none to the hash; one is then held out so that there is a number
        kept["val"].append(kept["train"].pop() if len(kept["train"]) > 1 else kept["train"][0])
    if rejected:
        out.warning(f"{len(rejected):,} records were put aside, the first because: {rejected[0]['reason']}.")
        write_jsonl(out.dir / "rejected.jsonl", rejected)
    write_jsonl(out.dir / "alpaca.jsonl", [pair for pair, _ in kept["train"]])
    write_jsonl(out.dir / "alpaca_validation.jsonl", [pair for pair, _ in kept["val"]])
    out.ledger(tally.ledger())
    out.count(pairs=len(kept["train"]), validation_pairs=len(kept["val"]), rejected=len(rejected))
    return kept["train"], kept["val"]


def _pairs_of_documents(config: SftConfig, decontaminate: Artifact, tokenize: Artifact) -> Iterator[tuple[str, Pair]]:
    """Yield (split, pair) of the pages that are not held out for the evaluation; some pairs need Python's pages."""
    from tasks.pydoc_entries import entries, module_of

    for document in documents_of(decontaminate.path, tokenize.path, {"train", "val"}):
        module = module_of(document.url, document.title)
        if module:
            for pair in pairs_of(entries(document.text, module), config.answer_characters):
                yield document.split, pair
        for pair in completions_of(document.text, config.lines_per_page):
            yield document.split, pair


def _pairs_of_files(config: SftConfig, tally: Tally, rejected: list[dict[str, str]]) -> Iterator[tuple[str, Pair]]:
    """Yield (split, pair) of the user's files; broken records go to `rejected`, each with its place and reason."""
    for path in alpaca_files(config.data):
        for record in read_alpaca(path):
            if record.pair is None:
                tally.remove("broken record", len(record.raw.encode()))
                rejected.append({"place": record.place, "reason": record.reason, "record": record.raw[:2000]})
            else:
                yield split_of(f"{_draw(record.pair):x}", config.validation, 0.0), record.pair


def _draw(pair: Pair) -> int:
    return int.from_bytes(hashlib.sha256(f"{pair['instruction']}\0{pair['input']}".encode()).digest()[:8], "big")


def _order(step: int, batch: int, n: int, seed: int) -> list[int]:
    """Return which pairs step `step` takes: every pair once per epoch, shuffled anew, by the step number alone."""
    positions = np.arange(step * batch, (step + 1) * batch, dtype=np.int64)
    chosen = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(positions // n):
        here = positions // n == epoch
        chosen[here] = permuted(positions[here] % n, n, seed, int(epoch))
    return chosen.tolist()


def _validate(
    config: SftConfig, model: GPT, held_out: Sequence[Example], words: Tokenizer, last: bool
) -> dict[str, float]:
    from model.chat import answer_batch
    from model.validation import validation_loss

    size = config.training.batch_size
    chosen = held_out if last else held_out[: size * config.runtime.validate_batches]
    batches = (answer_batch(chosen[start : start + size], words.pad) for start in range(0, len(chosen), size))
    return validation_loss(model, batches, words.token_bytes())


def _answers(config: SftConfig, model: GPT, pairs: Sequence[Pair], words: Tokenizer) -> Iterator[dict[str, Any]]:
    """Yield held-out instructions with the expected and the model's own answer, the most likely token each time."""
    from model.chat import prompt_ids
    from model.generate import generate

    for pair in pairs[: config.samples]:
        prompt = prompt_ids(words, pair["instruction"], pair["input"])
        ids = generate(model, prompt, config.sample_tokens + 1, stop={words.eos})
        yield {
            **pair,
            "answer": words.decode(ids[: config.sample_tokens]),
            "ended": len(ids) <= config.sample_tokens,
        }
