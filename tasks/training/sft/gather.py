"""Selects the instruction pairs, from the user's files or the corpus: no duplicates, no prompt in both splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_lake.reading.ledger import Tally
from data_lake.store.files import write_jsonl
from data_lake.tables.documents import split_of
from data_lake.tables.draws import hash_draw
from tasks.corpus.splits import documents_of, word_key
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected
from tasks.synthetic.instructions import Pair, completions_of, pairs_of
from tasks.training.sft.formats import Conversation
from tasks.training.sft.instructions import instruction_files, read_instructions

if TYPE_CHECKING:
    from model.chat import Example
    from model.tokenizer import Tokenizer
    from tasks.training.sft.config import SftConfig


BROKEN = "broken record"
CORPUS = "data"
"""The name of the only source where there is no mixture."""
SOURCES = "sources.jsonl"
"""What became of each source's records."""


@dataclass(frozen=True)
class Lesson:
    """A conversation to learn from, its source in a mixture, its split, where it came from, and its tokens."""

    source: str
    split: str
    place: str
    conversation: Conversation
    example: Example


def gather(
    config: SftConfig, out: Output, corpus: Artifact, tokenizer: Tokenizer, context: int
) -> tuple[list[Lesson], list[Lesson]]:
    """Return the training and held-out pairs that fit the context, write them to files, and account for all others."""
    from model.chat import example

    tally = Tally("instruction pairs")
    rejected = Rejected(out, BROKEN)
    went: Counter[tuple[str, str]] = Counter()

    def reject(source: str, name: str, place: str, reason: str, record: str, size: int) -> None:
        tally.remove(f"{name} of {source}" if config.sources else name, size)
        went[source, name] += 1
        rejected.add(name, place, reason, record)

    kept: dict[str, list[Lesson]] = {"train": [], "val": []}
    found = _of_files(config, reject) if config.files() else _of_documents(config, corpus)
    limits = {source.name: source.max_examples for source in config.sources}
    first: dict[Conversation, str] = {}
    trained: set[str] = set()
    for source, split, place, one in sorted(found, key=lambda item: (item[1] != "train", _draw(item[3]))):
        made = example(tokenizer, one.instruction, one.input, one.output, one.system, one.history, config.prompt)
        most = limits.get(source)
        if (before := first.setdefault(one, place)) != place:
            reject(source, "exact duplicate", place, f"the same as {before}", one.instruction, one.n_bytes)
        elif split == "val" and _prompt_key(one) in trained:
            why = "the same prompt is a training pair"
            reject(source, "asked in training", place, why, one.instruction, one.n_bytes)
        elif len(made.ids) > context + 1:
            reason = f"{len(made.ids):,} tokens, but the context has {context:,}"
            reject(source, "longer than the context", place, reason, one.instruction, one.n_bytes)
        elif len(kept[split]) >= config.max_examples or (most is not None and went[source, split] >= most):
            tally.remove(f"beyond max_examples of {source}" if config.sources else "beyond max_examples", one.n_bytes)
            went[source, "beyond max_examples"] += 1
        else:
            tally.keep(one.n_bytes)
            went[source, split] += 1
            kept[split].append(Lesson(source, split, place, one, made))
            if split == "train":
                trained.add(_prompt_key(one))
    put_aside = rejected.summary()
    if not kept["train"]:
        raise PermanentError(
            "There is no instruction pair to train on. "
            + (
                f"Of {', '.join(config.files())} no record is usable: {put_aside or 'there is none'}. "
                "Repair them, or leave sft.data out to learn from pairs made of the corpus."
                if config.files()
                else "The pages have no line of prose that could be one; set sft.data to files of instructions."
            )
        )
    if not kept["val"]:  # with few pairs the hash may select none; one is then held out for the validation
        last = kept["train"].pop() if len(kept["train"]) > 1 else kept["train"][0]
        kept["val"].append(last)
        if last not in kept["train"]:
            went[last.source, "train"] -= 1
            went[last.source, "val"] += 1
    # losing records of the user's own files is worth a warning; duplicates among pages are normal
    rejected.write(out.warning if config.files() else out.info)
    write_jsonl(out.dir / "alpaca.jsonl", [lesson.conversation.row() for lesson in kept["train"]])
    write_jsonl(out.dir / "alpaca_validation.jsonl", [lesson.conversation.row() for lesson in kept["val"]])
    if config.sources:
        rows = _by_source(config, went)
        write_jsonl(out.dir / SOURCES, rows)
        out.table("sources", rows)
        out.count(**{f"pairs_{row['source']}": row["train"] for row in rows})
    out.ledger(tally.ledger())
    out.count(pairs=len(kept["train"]), validation_pairs=len(kept["val"]), rejected=len(rejected.rows))
    return kept["train"], kept["val"]


def _of_documents(config: SftConfig, corpus: Artifact) -> Iterator[tuple[str, str, str, Conversation]]:
    """Yield (source, split, place, pair) of the train and val pages; Python's documentation gives more kinds."""
    from tasks.synthetic.pydoc import entries, module_of

    for document in documents_of(corpus.path, {"train", "val"}):
        module = module_of(document.url, document.title)
        made: list[Pair] = []
        if module:
            made += pairs_of(entries(document.text, module), config.answer_characters)
        made += completions_of(document.text, config.lines_per_page)
        for number, pair in enumerate(made, start=1):
            yield (
                CORPUS,
                document.split,
                f"{document.url}#{number}",
                Conversation(pair["instruction"], pair["output"], pair["input"]),
            )


def _of_files(config: SftConfig, reject: Callable[..., None]) -> Iterator[tuple[str, str, str, Conversation]]:
    """Yield (source, split, place, conversation) of the user's files; broken records are rejected with the reason.

    The split depends only on the words of the prompt, so that variants in case or punctuation are on the same side.
    """
    sources = [(source.name, source.data) for source in config.sources] or [(CORPUS, config.data)]
    for source, patterns in sources:
        for path in instruction_files(patterns):
            for record in read_instructions(path):
                if record.found is None:
                    size = len(record.raw.encode())
                    reject(source, BROKEN, record.place, record.reason, record.raw, size)
                else:
                    name = hashlib.sha256(_prompt_key(record.found).encode()).hexdigest()[:16]
                    yield source, split_of(name, config.validation, 0.0), record.place, record.found


def _by_source(config: SftConfig, went: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return a row for each source: how many records it has, and how many are learned, held out, or put aside why."""
    reasons = sorted({name for _, name in went} - {"train", "val"})
    rows = []
    for source in config.sources:
        counts = {name: went[source.name, name] for name in ("train", "val", *reasons)}
        rows.append({"source": source.name, "records": sum(counts.values()), **counts})
    return rows


def _prompt_key(one: Conversation) -> str:
    return word_key("\n".join(one.texts[:-1]))


def _draw(one: Conversation) -> int:
    return hash_draw(one.instruction, one.input)
