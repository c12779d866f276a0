"""Outcomes of an earlier clean, looked up page by page, so that a new crawl costs only what changed.

The outcome of a page depends only on the page, the config and the code, unless lines that its site repeats are removed.
So outcomes are first looked up in an artifact with the same config and code: its index says where each page's row is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_lake.tables.documents import shard_path, shards, write_parquet

INDEX = "index"
_ENDED = ("too_slow", "crash", "unreadable_record")  # reasons that may not recur: the machine or the moment


@dataclass(frozen=True)
class Outcome:
    """What became of one page: its row in documents/ or in removed/, and counts of what was changed in it."""

    kept: bool
    row: dict[str, Any]
    counts: Counter[str]


def page_key(page: Mapping[str, Any]) -> bytes | None:
    """Return a key of a page's identity and content, from its row of pages.parquet with its `repeats` (which are part
    of its document's id); None if its digest is not known."""
    import xxhash

    if page["payload_digest"] is None:
        return None
    named = (page["url"], page["source"], page["mime"], page["payload_digest"], page["n_bytes"], *page["repeats"])
    return xxhash.xxh3_128_digest("\0".join(map(str, named)).encode("utf-8", "surrogatepass"))


class IndexWriter:
    """Collects the positions of the rows of a shard's pages, and writes index/part-<number>.parquet."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._next = {True: 0, False: 0}

    def add(self, key: bytes | None, outcome: Outcome) -> None:
        """Record one row; must be called in the order in which rows are written."""
        place = self._next[outcome.kept]
        self._next[outcome.kept] = place + 1
        if key is not None and (outcome.kept or outcome.row["reason"] not in _ENDED):
            counts = json.dumps(dict(sorted(outcome.counts.items()))) if outcome.counts else None
            self._rows.append({"key": key, "kept": outcome.kept, "place": place, "counts": counts})

    def write(self, folder: Path, number: int) -> None:
        """Write the shard of the index."""
        import pyarrow as pa

        columns = [("key", pa.binary(16)), ("kept", pa.bool_()), ("place", pa.int64()), ("counts", pa.string())]
        write_parquet(shard_path(folder / INDEX, number), pa.Table.from_pylist(self._rows, schema=pa.schema(columns)))


class Reusable:
    """The outcomes of the pages with these keys in an earlier artifact; empty if there is no artifact."""

    def __init__(self, artifact: Path | None, keys: Iterable[bytes | None]) -> None:
        self._outcomes: dict[bytes, Outcome] = {}
        wanted = {key for key in keys if key is not None}
        if artifact is not None and wanted:
            for path in shards(artifact / INDEX):
                self._read(artifact, path, wanted)

    def get(self, key: bytes | None) -> Outcome | None:
        """Return what became of a page, or None if it is new."""
        return None if key is None else self._outcomes.get(key)

    def _read(self, artifact: Path, index: Path, wanted: set[bytes]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        table = pq.read_table(index)
        table = table.filter(pc.is_in(table["key"], value_set=pa.array(list(wanted), pa.binary(16))))
        for kept, folder in ((True, "documents"), (False, "removed")):
            part = table.filter(pc.equal(table["kept"], kept))
            if not len(part):
                continue
            rows = pq.read_table(artifact / folder / index.name).take(part["place"]).to_pylist()
            for key, counts, row in zip(part["key"].to_pylist(), part["counts"].to_pylist(), rows, strict=True):
                self._outcomes[key] = Outcome(kept, row, Counter(json.loads(counts) if counts else {}))
