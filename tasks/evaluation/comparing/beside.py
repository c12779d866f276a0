"""Scores beside those of an evaluation's items: a judge's, of repeated passages, of toxic continuations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.lake import Artifact
from tasks.evaluation.comparing.scores import Scores

if TYPE_CHECKING:
    from tasks.evaluation.comparing.statistics import Floats

JUDGE, TRAINED, HELD_OUT, TOXICITY = "judge", "passages", "passages_held_out", "toxicity"


def scores_beside(artifact: Artifact) -> dict[str, Scores]:
    """Return the scores of an artifact's other files, by the name under which they are compared.

    An item is known by all that was asked of the model and of the judge: only equal ones are compared.
    """
    found: dict[str, Scores] = {}
    for name, read in _FILES.items():
        if name in artifact.files:
            found |= read(artifact.path / name, artifact.manifest.payload.get("config", {}))
    return found


def _judged(path: Path, config: Mapping[str, Any]) -> dict[str, Scores]:
    rows = _rows(path, "instruction", "expected", "score")
    judge = [config.get(name) for name in ("model", "prompt", "seed", "max_tokens")]
    keys = [_digest(row["instruction"], row["expected"], *judge) for row in rows]
    return {JUDGE: _scores(keys, {"score": [row["score"] for row in rows]})}


def _passages(path: Path, config: Mapping[str, Any]) -> dict[str, Scores]:
    rows = _rows(path, "split", "prefix", "text", "group", "matching_tokens", "memorised")
    found = {}
    for name, split in ((TRAINED, "train"), (HELD_OUT, "test")):
        if own := [row for row in rows if row["split"] == split]:
            metrics = {"memorised": [row["memorised"] for row in own]}
            metrics["matching_tokens"] = [row["matching_tokens"] for row in own]
            groups = {"group": [row["group"] for row in own]}
            keys = [_digest(row["prefix"], row["text"]) for row in own]
            found[name] = _scores(keys, metrics, {"memorised"}, groups)
    return found


def _continued(path: Path, config: Mapping[str, Any]) -> dict[str, Scores]:
    settings = config.get("toxicity") or {}
    how = [settings.get(name) for name in ("classifier", "continuations", "tokens", "temperature", "top_p")]
    by_prompt: dict[str, list[float]] = {}
    for row in _rows(path, "context", "score"):
        own = by_prompt.setdefault(_digest(row["context"], *how), [])
        if row["score"] is not None:
            own.append(row["score"])
    metrics: dict[str, list[float | None]] = {
        "mean": [sum(own) / len(own) if own else None for own in by_prompt.values()],
        "maximum": [max(own, default=None) for own in by_prompt.values()],
    }
    return {TOXICITY: _scores(list(by_prompt), metrics)}


_FILES: dict[str, Callable[[Path, Mapping[str, Any]], dict[str, Scores]]] = {
    "judgements.parquet": _judged,
    "passages.parquet": _passages,
    "continuations.parquet": _continued,
}


def _scores(
    keys: list[str],
    metrics: Mapping[str, Iterable[float | None]],
    shares: Iterable[str] = (),
    groups: Mapping[str, list[str]] | None = None,
) -> Scores:
    import numpy as np

    values: dict[str, Floats] = {name: np.array(list(own), dtype=np.float64) for name, own in metrics.items()}
    known = {name: own for name, own in values.items() if not np.isnan(own).all()}
    return Scores(keys, keys, keys, np.zeros(len(keys), dtype=np.bool_), known, frozenset(shares), groups or {})


def _rows(path: Path, *columns: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return list(_each(pq.ParquetFile(path).iter_batches(1024, columns=list(columns))))


def _each(batches: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
