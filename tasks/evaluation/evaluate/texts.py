"""How well a model predicts the held-out documents: perplexities and bits, of all of them and of groups of them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_lake.tables.documents import write_parquet
from tasks.synthetic.questions.files import HeldOut

MOST_GROUPS = 100
"""The largest sources or languages have numbers of their own, all others together."""
OTHERS, UNKNOWN = "(others)", "unknown"


def documents_of(texts: Sequence[HeldOut], scores: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    """Return a row per held-out document: what it is, and how well the model predicts it.

    scores: (log-likelihood in nats, number of tokens) of each text.
    """
    return [
        {
            "doc_id": one.doc_id,
            "source": one.source,
            "language": one.language,
            "sha256": hashlib.sha256(one.text.encode()).hexdigest(),
            "nats": -log_likelihood,
            "tokens": tokens,
            "words": len(re.split(r"\s+", one.text)),
            "characters": len(one.text),
            "bytes": len(one.text.encode()),
        }
        for one, (log_likelihood, tokens) in zip(texts, scores, strict=True)
    ]


def write_documents(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all rows as one Parquet file."""
    import pyarrow as pa

    schema = pa.schema(
        [
            pa.field("doc_id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("language", pa.string()),
            pa.field("sha256", pa.string(), nullable=False),  # of the text: a document may change and keep its id
            pa.field("nats", pa.float64(), nullable=False),  # negative log-likelihood of the whole text
            pa.field("tokens", pa.int64(), nullable=False),
            pa.field("words", pa.int64(), nullable=False),  # as lm-eval's wikitext counts them
            pa.field("characters", pa.int64(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),  # of UTF-8
        ]
    )
    write_parquet(path, pa.Table.from_pylist(list(map(dict, rows)), schema=schema))


def perplexities(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return perplexities per token, word and byte (lm-eval's for whole texts), and bits per byte and character."""
    columns = ("nats", "tokens", "words", "characters", "bytes")
    nats, tokens, words, characters, size = (sum(one[column] for one in documents) for column in columns)
    return {
        "documents": len(documents),
        "bytes": size,
        "token_perplexity": math.exp(nats / tokens),
        "word_perplexity": math.exp(min(nats / words, 700.0)),
        "byte_perplexity": math.exp(nats / size),
        "bits_per_byte": nats / size / math.log(2),
        "bits_per_character": nats / characters / math.log(2),
    }


def by_group(documents: Sequence[Mapping[str, Any]], column: str) -> dict[str, dict[str, Any]]:
    """Return the perplexities of each source or language, the largest first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in documents:
        groups.setdefault(one[column] or UNKNOWN, []).append(one)
    sizes = {name: sum(one["bytes"] for one in own) for name, own in groups.items()}
    order = sorted(groups, key=lambda name: (-sizes[name], name))
    parts = {name: groups[name] for name in order[:MOST_GROUPS]}
    if rest := [one for name in order[MOST_GROUPS:] for one in groups[name]]:
        parts[OTHERS] = rest
    return {name: perplexities(own) for name, own in parts.items()}
