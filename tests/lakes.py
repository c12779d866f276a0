"""A small lake made by hand: a crawl, its cleaning and its deduplication, with real manifests and Parquet files."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_lake.store.fingerprint import sha256_of
from data_lake.store.lake import Artifact, Lake, content_of
from data_lake.store.manifest import InputEntry, Manifest
from data_lake.tables import schemas
from data_lake.tables.documents import doc_id, write_parquet

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def commit(
    lake: Lake,
    stage: str,
    tables: dict[str, pa.Table] | None = None,
    upstream: tuple[Artifact, ...] | dict[str, Artifact] = (),
    config: dict[str, Any] | None = None,
    hour: int = 0,
    texts: dict[str, str] | None = None,
    **manifest: Any,
) -> Artifact:
    """Commit an artifact with these Parquet files and these texts, `hour` hours after noon.

    upstream: what it was made from, by role, or in roles that are called like the stages.
    """
    roles = upstream if isinstance(upstream, dict) else {a.stage: a for a in upstream}
    payload = {
        "stage": stage,
        "version": 1,
        "config": config or {},
        "inputs": {role: a.content for role, a in roles.items()},
        "code": {f"tasks.corpus.{stage}": "0" * 64},
    }
    key = sha256_of(payload)
    folder = lake.staging(stage, key)
    for name, table in (tables or {}).items():
        write_parquet(folder / name, table)
    for name, text in (texts or {}).items():
        (folder / name).write_text(text)

    def describe(files: Any) -> Manifest:
        return Manifest(
            stage=stage,
            key=key,
            version=1,
            payload=payload,
            content=content_of(files),
            inputs={role: InputEntry(stage=a.stage, key=a.key, content=a.content) for role, a in roles.items()},
            files=files,
            reason="never built",
            started_at=NOON,
            finished_at=NOON + datetime.timedelta(hours=hour),
            seconds=1.5,
            **manifest,
        )

    return lake.commit(folder, describe)


def documents(*texts: str, source: str = "example.org") -> pa.Table:
    """Rows of DOCUMENTS with these texts."""
    rows = [
        {
            "doc_id": doc_id(payload=text),
            "url": f"http://{source}/{number}",
            "source": source,
            "fetched_at": NOON,
            "title": text.split()[0],
            "language": "en",
            "text": text,
            "n_bytes": len(text.encode()),
        }
        for number, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=schemas.DOCUMENTS)


def removed(*reasons: str) -> pa.Table:
    """Rows of REMOVED with these reasons."""
    rows = [{"source": "example.org", "reason": reason, "n_bytes": 7} for reason in reasons]
    return pa.Table.from_pylist(rows, schema=schemas.REMOVED)


def small_lake(root: Path) -> Lake:
    """crawl → clean → dedup, and an older clean of the same crawl with other settings."""
    lake = Lake(root)
    crawl = commit(lake, "crawl", {"pages.parquet": schemas.PAGES.empty_table()}, hour=1, counts={"pages": 3})
    old = commit(
        lake,
        "clean",
        {"documents/part-00000.parquet": documents("one", "two", "three"), "removed/part-00000.parquet": removed()},
        (crawl,),
        {"min_words": 1},
        hour=2,
    )
    clean = commit(
        lake,
        "clean",
        {
            "documents/part-00000.parquet": documents("alpha beta", "alpha beta gamma", "[bold]delta[/bold] \x1b[31m"),
            "removed/part-00000.parquet": removed("too_short", "too_short", "empty"),
        },
        (crawl,),
        {"min_words": 2},
        hour=3,
        counts={"documents": 3},
        ledger={
            "incoming": {"documents": 6, "bytes": 71, "tokens": 0},
            "kept": {"documents": 3, "bytes": 50, "tokens": 0},
            "removed": {
                "too_short": {"documents": 2, "bytes": 14, "tokens": 0},
                "empty": {"documents": 1, "bytes": 7, "tokens": 0},
            },
            "rewritten": {"documents": 0, "bytes": 0, "tokens": 0},
        },
        runs={"mlflow_run_id": "f" * 32},
        provenance={"git_commit": "abc", "git_dirty": True},
    )
    assert old.key != clean.key
    commit(
        lake,
        "dedup",
        {
            "documents/part-00000.parquet": documents("alpha beta gamma"),
            "documents/part-00001.parquet": documents("[bold]delta[/bold] \x1b[31m"),
            "removed/part-00000.parquet": removed("near_duplicate"),
            "duplicates.parquet": schemas.DUPLICATES.empty_table(),
        },
        (clean,),
        hour=4,
        counts={"documents": 2},
        metrics={"duplicate_share": 1 / 3, "unknown": None},
    )
    return lake
