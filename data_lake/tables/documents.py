"""Documents on disk: their ids, their split, and Parquet shards that are either whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args

from data_lake.store.files import whole_file
from data_lake.tables.draws import hash_share

if TYPE_CHECKING:  # pyarrow is imported where it is used: `textmill plan` imports this module and does not need it
    import pyarrow as pa

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def doc_id(*, url: str | None = None, record_id: str | None = None, source: str = "", payload: str = "") -> str:
    """Return a document's id: 16 hex digits of sha256 over its name.

    The name is its canonical URL, or else its id within its source; a digest of the content (`payload`) is added if
    several documents share that name, and is the whole name of a document that has neither. So a row keeps its id when
    rows are added around it, and two sources may both number their rows from 1.
    """
    if url:
        name = f"url\0{url}"
    elif record_id:
        name = f"record\0{source}\0{record_id}"
    else:
        name = "payload"
    if payload:
        name += f"\0{payload}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def split_of(doc_id: str, val: float, test: float) -> Split:
    """Return the split of a document. A hash of its id decides, so it stays the same when other documents come or go.

    `val` and `test` are fractions of all documents. A document in val stays in val when `val` grows.
    """
    if val < 0 or test < 0 or val + test > 1:
        raise ValueError(f"The fractions val={val} and test={test} must be at least 0 and their sum at most 1.")
    # val grows upwards from 0 and test downwards from 1, so changing one never moves a document of the other
    place = hash_share("split", doc_id)
    if place < val:
        return "val"
    if place >= 1 - test:
        return "test"
    return "train"


def shards(folder: Path) -> list[Path]:
    """Return the Parquet shards of a folder in order; [] if there is no folder."""
    return sorted(folder.glob("part-*.parquet"))


def shard_path(folder: Path, number: int) -> Path:
    """Return the path of shard `number`."""
    return folder / f"part-{number:05d}.parquet"


def write_parquet(path: Path, table: pa.Table, *, row_group_bytes: int = 64 << 20) -> None:
    """Write a table so that `path` is either complete or absent, even after a kill or a power cut.

    The same table gives the same bytes: the file contains no date and no path.
    """
    import pyarrow.parquet as pq

    rows = max(1, min(table.num_rows or 1, int(row_group_bytes * table.num_rows / max(table.nbytes, 1)) or 1))
    with whole_file(path) as file:
        pq.write_table(table, file, compression="zstd", row_group_size=rows)


def write_tables(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], *, row_group_bytes: int = 4 << 20) -> None:
    """Write tables of one schema, as they come, so that `path` is either complete or absent.

    Memory: one row group, which holds one table or several small ones.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with whole_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        pending: list[pa.Table] = []
        size = 0
        for table in tables:
            pending.append(table.cast(schema))
            size += table.nbytes
            if size >= row_group_bytes:
                writer.write_table(pa.concat_tables(pending))
                pending, size = [], 0
        if pending:
            writer.write_table(pa.concat_tables(pending))


class ShardWriter:
    """Writes rows of one schema as folder/part-00000.parquet, ...; each shard appears whole or not at all.

    Use as a context manager; an exception inside leaves the finished shards and nothing half-written. If there are no
    rows at all, one empty shard is written, so that readers find the schema. Memory: one row group.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        shard_bytes: float = 256 << 20,
        row_group_bytes: int = 16 << 20,
        first: int = 0,
    ) -> None:
        self.folder, self.schema = folder, schema
        self.rows = 0
        self._shard_bytes, self._row_group_bytes = shard_bytes, row_group_bytes
        self._number = self._first = first
        self._whole = contextlib.ExitStack()  # the open shard's file
        self._parquet: Any = None
        self._nbytes = 0  # of the open shard, as Arrow
        self._pending: list[dict[str, Any]] = []
        self._pending_bytes = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._parquet is not None:
            with contextlib.suppress(OSError):  # a full disk, the usual reason to be here
                self._parquet.close()  # or else it would write its footer to a closed file when it is garbage-collected
            self._whole.__exit__(kind, error, trace)

    @property
    def path(self) -> Path:
        """The shard that the next row goes to, unless the row group in memory fills it."""
        return shard_path(self.folder, self._number)

    def write(self, row: dict[str, Any]) -> None:
        """Add one row; keys that are not in the schema are an error, missing ones become null."""
        unknown = row.keys() - set(self.schema.names)
        if unknown:
            raise KeyError(
                f"The row has columns {sorted(unknown)} that the schema of {self.folder.name} does not have."
            )
        self._pending.append(row)
        self._pending_bytes += sum(len(value) for value in row.values() if isinstance(value, (str, bytes)))
        if len(self._pending) >= 65_536 or self._pending_bytes >= self._row_group_bytes:
            self._gather()

    def write_table(self, table: pa.Table) -> None:
        """Add a table of the writer's schema as a row group."""
        self._gather()
        self._append(table)

    def close(self) -> None:
        """Write what is left."""
        self._gather()
        if self._parquet is not None or self._number == self._first:
            self._roll()

    def _gather(self) -> None:
        import pyarrow as pa

        if self._pending:
            table = pa.Table.from_pylist(self._pending, schema=self.schema)
            self._pending, self._pending_bytes = [], 0
            self._append(table)

    def _open(self) -> None:
        import pyarrow.parquet as pq

        file = self._whole.enter_context(whole_file(self.path))
        self._parquet = pq.ParquetWriter(file, self.schema, compression="zstd")

    def _append(self, table: pa.Table) -> None:
        if self._parquet is None:
            self._open()
        self._parquet.write_table(table.cast(self.schema), row_group_size=max(1, table.num_rows))
        self._nbytes += table.nbytes
        self.rows += table.num_rows
        if self._nbytes >= self._shard_bytes:
            self._roll()

    def _roll(self) -> None:
        if self._parquet is None:
            self._open()
        self._parquet.close()
        self._whole.close()
        self._number += 1
        self._parquet = None
        self._nbytes = 0


def read_documents(
    artifact: Path, columns: Sequence[str] | None = None, *, folder: str = "documents", batch_rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of artifact/documents/part-*.parquet in order, a batch at a time.

    Raises FileNotFoundError if the artifact has no such folder.
    """
    import pyarrow.parquet as pq

    paths = shards(artifact / folder)
    if not paths:
        raise FileNotFoundError(f"{artifact} has no {folder}/part-*.parquet; it is not an artifact with {folder}.")
    for path in paths:
        with pq.ParquetFile(path) as file:
            # an empty shard yields nothing, not an empty batch
            yield from file.iter_batches(batch_size=batch_rows, columns=list(columns) if columns else None)


def count_rows(folder: Path) -> int:
    """Return the number of rows of all shards of a folder, from their footers only."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in shards(folder))


def documents_fingerprint(artifact: Path, also: Sequence[str] = ()) -> str:
    """Return sha256 (hex) over everything in the documents of an artifact except the dates of fetching.

    `also` names further text columns that later stages read. Stages that write documents use it as their content: the
    same pages crawled on another day or machine, or documents that a changed setting left unchanged, cause no rebuild
    downstream.
    """
    whole = hashlib.sha256()
    for batch in read_documents(artifact, ["doc_id", "url", "source", "title", "language", "text", *also]):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            whole.update("\0".join("" if value is None else value for value in row).encode("utf-8") + b"\n")
    return whole.hexdigest()
