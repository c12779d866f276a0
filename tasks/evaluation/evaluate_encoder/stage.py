"""The evaluate_encoder stage: the pseudo-perplexity of held-out text, one hidden token at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.tables.documents import write_parquet
from tasks.corpus.splits import documents_of
from tasks.evaluation.computing import loaded
from tasks.evaluation.evaluate_encoder.config import EvaluateEncoderConfig
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.preflight import Facts, Fault, device_faults
from tasks.stage.work import reading_with_model

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Window:
    """A piece of a document that fits the model's context, with <|bos|>, and the places of the tokens to hide."""

    doc_id: str
    source: str
    ids: list[int]
    hide: list[int]


def check(config: EvaluateEncoderConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be measured."""
    yield from device_faults("evaluate_encoder.device", config.device)
    if facts.value("decontaminate.split.test") == 0:
        yield Fault(
            "decontaminate.split.test", "Nothing is held out to measure the model on; hold out a share, such as 0.02."
        )


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the pseudo-perplexity is a number of at least 1, and that each hidden token has a row."""
    import pyarrow.parquet as pq

    value = artifact.metrics.get("pseudo_perplexity")
    if value is None or not 1 <= value < math.inf:
        yield f"The pseudo-perplexity is {value}, no number of at least 1."
    rows = pq.read_metadata(artifact.path / "hidden.parquet").num_rows
    if not rows or rows != artifact.counts.get("hidden_tokens"):
        yield f"hidden.parquet has {rows:,} rows, not one for each of the hidden tokens."


@stage(
    makes=kinds.EncoderEvaluation,
    headline=("pseudo_perplexity", "accuracy"),
    per="model",
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=reading_with_model,
)
def evaluate_encoder(config: EvaluateEncoderConfig, out: Output, model: kinds.Model, corpus: kinds.Corpus) -> None:
    """Hide tokens of the held-out documents one at a time, and measure how well the encoder names them.

    `pseudo_perplexity` is exp of the mean negative log-probability of a hidden token given all others (Salazar et al.
    2020); lower is better. It is not comparable with the perplexity of a decoder, which sees only what comes before.
    `pseudo_bits_per_byte` is the same in bits per byte of the hidden tokens, `accuracy` the share that the encoder
    finds likeliest.
    """
    from model.hardware import tokens_at_once
    from model.pseudo import pseudo_log_likelihoods
    from model.tokenizer import MASK

    rows: list[dict[str, Any]] = []
    with loaded(config, model) as (encoder, tokenizer):
        if encoder.config.causal:
            raise PermanentError(f"{model.name} is no encoder; evaluate measures models that predict the next token.")
        windows = _windows(config, corpus, tokenizer, encoder.config.max_seq_len)
        total = sum(len(window.hide) for window in windows)
        if not total:
            raise PermanentError(
                "The held-out documents have no token to hide; hold out more (decontaminate.split.test)."
            )
        at_once, hidden = config.batch_tokens or tokens_at_once(encoder.device), tokenizer.specials[MASK]
        for window in windows:
            found = pseudo_log_likelihoods(encoder, window.ids, window.hide, hidden, at_once)
            for place, (value, first) in zip(window.hide, found, strict=True):
                rows.append(_row(tokenizer, window, place, value, first))
            out.progress(len(rows), total, "hidden tokens")

    nats, n_bytes = -sum(row["log_probability"] for row in rows), sum(row["bytes"] for row in rows)
    out.metric(
        pseudo_perplexity=math.exp(nats / total),
        pseudo_bits_per_byte=nats / n_bytes / math.log(2),
        accuracy=sum(row["right"] for row in rows) / total,
    )
    out.count(hidden_tokens=total, documents=len({window.doc_id for window in windows}))
    _write(out, rows)
    out.table("hidden", rows[:100])


def _windows(config: EvaluateEncoderConfig, corpus: Artifact, tokenizer: Tokenizer, context: int) -> list[Window]:
    """Cut the held-out documents into windows, and choose the tokens to hide: evenly spread over all of them."""
    pieces = [
        (document, [tokenizer.bos, *ids[start : start + context - 1]])
        for document in documents_of(corpus.path, {"test"})
        for ids in [tokenizer.encode(document.text)]
        for start in range(0, len(ids), context - 1)
    ]
    lengths = np.array([len(ids) - 1 for _, ids in pieces])
    n_tokens = int(lengths.sum())
    count = min(n_tokens, config.tokens or n_tokens)
    chosen = np.linspace(0, n_tokens - 1, count).round().astype(int) if count else np.array([], dtype=int)
    ends = np.cumsum(lengths)
    owners = np.searchsorted(ends, chosen, side="right")
    windows = []
    for number, (document, ids) in enumerate(pieces):
        hide = (chosen[owners == number] - (ends[number] - lengths[number]) + 1).tolist()
        if hide:
            windows.append(Window(document.doc_id, document.source, ids, hide))
    return windows


def _row(tokenizer: Tokenizer, window: Window, place: int, value: float, first: int) -> dict[str, Any]:
    token = window.ids[place]
    return {
        "doc_id": window.doc_id,
        "source": window.source,
        "token": tokenizer.decode([token]),
        "guess": tokenizer.decode([first]),
        "log_probability": value,
        "right": first == token,
        "bytes": len(tokenizer.decode_bytes([token])),
    }


def _write(out: Output, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    schema = pa.schema(
        [
            pa.field("doc_id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("token", pa.string(), nullable=False),
            pa.field("guess", pa.string(), nullable=False),
            pa.field("log_probability", pa.float64(), nullable=False),
            pa.field("right", pa.bool_(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
        ]
    )
    write_parquet(out.dir / "hidden.parquet", pa.Table.from_pylist(rows, schema=schema))
