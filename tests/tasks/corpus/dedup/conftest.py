"""Documents with all that dedup decides by: URLs, dates and scores, as an artifact of the stage before."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from data_lake.reading.ledger import Tally
from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import doc_id, shard_path, write_parquet
from tasks.stage import Output, StageConfig, stage


class RowsConfig(StageConfig):
    """Rows of documents, in order, spread over shards; missing fields are filled in."""

    rows: tuple[dict[str, Any], ...] = ()
    shards: int = 1


@stage(makes=Artifact, version=1)
def rows_given(config: RowsConfig, out: Output) -> None:
    """Write the rows as documents."""
    import pyarrow as pa

    from data_lake.tables.schemas import DOCUMENTS

    tally = Tally()
    rows = []
    for number, given in enumerate(config.rows):
        url = given.get("url", f"http://example.org/{number}")
        size = len(given["text"].encode())
        row = {"doc_id": doc_id(url=url), "url": url, "source": "example.org", "n_bytes": size, **given}
        if isinstance(row.get("fetched_at"), str):
            row["fetched_at"] = datetime.datetime.fromisoformat(row["fetched_at"])
        tally.keep(size)
        rows.append(row)
    step = -(-len(rows) // config.shards) or 1
    for number in range(config.shards):
        table = pa.Table.from_pylist(rows[number * step : (number + 1) * step], schema=DOCUMENTS)
        write_parquet(shard_path(out.dir / "documents", number), table)
    out.ledger(tally.ledger())
    out.count(documents=len(rows))


@pytest.fixture
def given_rows(lake: Lake) -> Callable[..., Artifact]:
    """`given_rows([{"text": …, "url": …}, …], shards=1)`: an artifact with these documents."""

    def build(rows: Sequence[dict[str, Any]], shards: int = 1) -> Artifact:
        return rows_given.build(lake, RowsConfig(rows=tuple(rows), shards=shards), {}).artifact

    return build


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    path = tmp_path / "folder"
    path.mkdir()
    return path
