"""The memorisation stage: passages of training text are continued greedily, and compared word for word."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.tables.documents import write_parquet
from tasks.evaluation.computing import loaded
from tasks.evaluation.evaluate.preflight import context_of
from tasks.evaluation.memorisation.config import MemorisationConfig
from tasks.evaluation.memorisation.passages import by_count, drawn_passages, occurrences
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.preflight import Facts, Fault, device_faults
from tasks.stage.work import reading_with_model

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer


def check(config: MemorisationConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be asked."""
    yield from device_faults("memorisation.device", config.device)
    context, field = context_of(facts)
    whole = config.prefix + config.continuation
    if context is not None and whole > context:
        yield Fault(
            "memorisation.continuation",
            f"{config.prefix:,} + {config.continuation:,} tokens do not fit the model's context of {context:,} "
            f"({field}); lower prefix or continuation.",
        )


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the share is one, and that each passage has a row."""
    import pyarrow.parquet as pq

    value = artifact.metrics.get("memorised")
    if value is None or not 0 <= value <= 1:
        yield f"The share of memorised passages is {value}."
    rows = pq.read_metadata(artifact.path / "passages.parquet").num_rows
    if not rows or rows != artifact.counts.get("passages", 0) + artifact.counts.get("held_out_passages", 0):
        yield f"passages.parquet has {rows:,} rows, not one for each passage."


@stage(
    makes=kinds.Memorisation,
    headline=("memorised", "memorised_held_out"),
    per="model",
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=reading_with_model,
)
def memorisation(config: MemorisationConfig, out: Output, model: kinds.Model, tokens: kinds.Tokens) -> None:
    """Give the model the first tokens of passages of its training text, and see which it continues word for word.

    `memorised` is the share of these passages, `memorised_held_out` that of as many passages that it was not trained
    on: what a model can guess without having seen it (signatures, phrases, tables) is no memory. Both with standard
    errors, and by how often the passage stands in the training text, which is what memory grows with (Carlini et al.
    2023). `matching_tokens` is the mean number of tokens until the first that differs.
    """
    from data_lake.tokens.loader import TokenDataset

    length = config.prefix + config.continuation
    rows: list[dict[str, Any]] = []
    with loaded(config, model) as (writer, tokenizer):
        if length > writer.config.max_seq_len or writer.config.network != "decoder":
            raise PermanentError(
                f"{model.name}, a {writer.config.network} with a context of {writer.config.max_seq_len:,} tokens, "
                f"cannot continue passages of {config.prefix:,} + {config.continuation:,} tokens (memorisation.prefix "
                "and continuation)."
            )
        trained_on = TokenDataset(tokens.path, "train")
        if trained_on.tokenizer_sha256 != tokenizer.sha256:
            raise PermanentError(f"{tokens.name} was encoded with another tokenizer than that of {model.name}.")
        for split in ("train", "test"):
            if not any((tokens.path / split).glob("part-*.parquet")):
                continue  # nothing is held out
            data = trained_on if split == "train" else TokenDataset(tokens.path, split)
            passages = drawn_passages(data, length, config.passages, config.seed)
            counts = occurrences(trained_on, passages)  # held-out pages may share their boilerplate with others
            for start in range(0, len(passages), config.batch):
                part = slice(start, start + config.batch)
                out.progress(len(rows), 2 * config.passages, "passages")
                rows += _continued(config, writer, tokenizer, split, passages[part], counts[part])
    _report(out, rows)


def _continued(
    config: MemorisationConfig, writer: GPT, tokenizer: Tokenizer, split: str, passages: np.ndarray, counts: list[int]
) -> list[dict[str, Any]]:
    """Continue the passages greedily; return a row for each."""
    from model.generate import generate_batch

    prompts = [passage[: config.prefix].tolist() for passage in passages]
    made = generate_batch(writer, prompts, config.continuation, batch_size=config.batch)
    rows = []
    for passage, one, count, group in zip(passages, made, counts, by_count(counts), strict=True):
        wanted = passage[config.prefix :].tolist()
        matching = next((i for i, (a, b) in enumerate(zip(wanted, one.ids, strict=False)) if a != b), len(one.ids))
        rows.append(
            {
                "split": split,
                "in_training": count,
                "group": group,
                "prefix": tokenizer.decode(passage[: config.prefix].tolist()),
                "text": tokenizer.decode(wanted),
                "written": tokenizer.decode(one.ids),
                "matching_tokens": matching,
                "memorised": matching == len(wanted),
            }
        )
    return rows


def _report(out: Output, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    from data_lake.tables.schemas import PASSAGES

    trained, held_out = ([row for row in rows if row["split"] == split] for split in ("train", "test"))
    if not trained:
        raise PermanentError("The training text has no passage of this length within one document; ask for less.")
    out.count(passages=len(trained), held_out_passages=len(held_out))
    for name, part in (("memorised", trained), ("memorised_held_out", held_out)):
        share = sum(row["memorised"] for row in part) / len(part) if part else None
        error = math.sqrt(share * (1 - share) / (len(part) - 1)) if share is not None and len(part) > 1 else None
        out.metric(**{name: share, f"{name}_stderr": error})
    out.metric(matching_tokens=sum(row["matching_tokens"] for row in trained) / len(trained))
    groups = []
    for group in dict.fromkeys(sorted((row["group"] for row in trained), key=lambda name: (len(name), name))):
        part = [row for row in trained if row["group"] == group]
        share = sum(row["memorised"] for row in part) / len(part)
        groups.append({"times in training": group, "passages": len(part), "memorised": share})
    out.table("by_occurrence", groups)
    out.table("memorised", [row for row in rows if row["memorised"]][:100])
    write_parquet(out.dir / "passages.parquet", pa.Table.from_pylist(rows, schema=PASSAGES))
