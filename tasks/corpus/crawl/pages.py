"""pages.parquet: the outcome of every URL and record; written, read, checked and fingerprinted some rows at a time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.reading.ledger import Amount, Ledger, Tally
from data_lake.tables.documents import write_tables

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = ("fetched", "unchanged", "unreachable_kept", "read")
"""The reasons in pages.parquet that stand for a page or record that the artifact holds."""

PAGES_FILE = "pages.parquet"
BATCH_ROWS = 4096


def write_pages(
    folder: Path, tables: Iterable[pa.Table], rest: Mapping[str, int] | None = None
) -> tuple[Counter[str], Ledger]:
    """Write the tables one after the other as pages.parquet; return how often each reason occurs in it, and the
    ledger, which also counts the URLs of each reason that have no row (`rest`)."""
    import pyarrow as pa

    from data_lake.tables.schemas import PAGES

    reasons: Counter[str] = Counter()
    tally = Tally()

    def counted() -> Iterator[pa.Table]:
        for table in tables:
            sums = table.group_by("reason", use_threads=False).aggregate([("n_bytes", "count"), ("n_bytes", "sum")])
            for row in sums.to_pylist():
                reason, amount = row["reason"], Amount(row["n_bytes_count"], row["n_bytes_sum"])
                reasons[reason] += amount.documents
                tally.add(Ledger(amount, amount) if reason in KEPT else Ledger(amount, Amount(), {reason: amount}))
            yield table

    write_tables(folder / PAGES_FILE, PAGES, counted())
    for reason, number in (rest or {}).items():
        tally.add(Ledger(Amount(number), Amount(), {reason: Amount(number)}))
    pa.default_memory_pool().release_unused()  # up to 40 MB, to which the figure and the fingerprint would add
    return reasons, tally.ledger()


def read_pages(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table of pages a batch at a time.

    Only this thread reads: each of Arrow's threads keeps its own memory, so the peak grew with the table and varied
    by chance (from 10,000 to 100,000 pages by 24 to 37 MB of 250), and many threads read narrow columns no faster.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        wanted = None if columns is None else list(columns)
        yield from file.iter_batches(batch_size=BATCH_ROWS, columns=wanted, use_threads=False)


def kept_pages(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of pages.parquet that have a stored page, in order, a batch at a time."""
    import pyarrow.compute as pc

    wanted = None if columns is None else list(dict.fromkeys([*columns, "file"]))
    for batch in read_pages(folder / PAGES_FILE, wanted):
        kept = batch.filter(pc.is_valid(batch.column("file")))
        if kept.num_rows:
            yield kept


def kept_rows(folder: Path, first: int, last: int) -> Iterator[dict[str, Any]]:
    """Yield the rows from `first` up to, not including, `last`, counting only rows that have a stored page."""
    start = 0
    for batch in kept_pages(folder):
        if start + batch.num_rows > first:
            yield from batch.slice(max(0, first - start), last - max(first, start)).to_pylist()
        start += batch.num_rows
        if start >= last:
            return


def first_of(folder: Path, reason: str) -> tuple[str, str | None] | None:
    """Return URL and detail of the first row with a reason; a row with a detail is preferred."""
    import pyarrow.compute as pc

    found: tuple[str, str | None] | None = None
    for batch in read_pages(folder / PAGES_FILE, ["url", "reason", "detail"]):
        for row in batch.filter(pc.equal(batch.column("reason"), reason)).to_pylist():
            found = found or (row["url"], row["detail"])
            if row["detail"]:
                return row["url"], row["detail"]
    return found


def kept_sizes(folder: Path) -> list[int]:
    """Return the size in bytes of each kept page, in order."""
    return [size for batch in kept_pages(folder, ["n_bytes"]) for size in batch.column("n_bytes").to_pylist()]


def pages_fingerprint(folder: Path) -> str:
    """Return sha256 (hex) over the sorted digests of URL, payload digest and statements about training. Dates are
    left out, so that visiting an unchanged site again changes nothing downstream. Memory: 16 bytes for each page."""
    import numpy as np
    import pyarrow.compute as pc

    found = bytearray()
    for batch in kept_pages(folder, ["url", "payload_digest", "rights"]):
        columns = (batch.column(name).to_pylist() for name in ("url", "payload_digest"))
        train = pc.struct_field(batch.column("rights"), "train").to_pylist()
        for url, digest, allowed in zip(*columns, train, strict=True):
            said = "" if allowed in (None, "unknown") else f"\0{allowed}"
            found += hashlib.sha256(f"{url}\0{digest}{said}".encode()).digest()[:16]
    halves = np.frombuffer(found, dtype=">u8").reshape(-1, 2)
    return hashlib.sha256(halves[np.lexsort(halves.T)].tobytes()).hexdigest()


def problems_of_pages(folder: Path, counts: dict[str, int]) -> Iterator[str]:
    """Yield a sentence for each way in which pages.parquet differs from the counts or names a place that is in no
    file."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from data_lake.tables.schemas import PAGES

    with pq.ParquetFile(folder / PAGES_FILE) as file:
        rows = file.metadata.num_rows
        if not file.schema_arrow.equals(PAGES):
            yield "pages.parquet does not have the schema data_lake.tables.schemas.PAGES."
            return
    pages = 0
    ends: dict[str, tuple[int | None, int]] = {}  # per file: the last byte, if it has bytes, and the last offset
    for batch in kept_pages(folder, ["offset", "length"]):
        pages += batch.num_rows
        table = pa.Table.from_batches([batch])
        table = table.append_column("end", pc.add(table["offset"], table["length"]))
        for row in table.group_by("file", use_threads=False).aggregate([("end", "max"), ("offset", "max")]).to_pylist():
            end, offset = ends.get(row["file"], (None, 0))
            known = [number for number in (end, row["end_max"]) if number is not None]
            ends[row["file"]] = (max(known) if known else None, max(offset, row["offset_max"]))
    if rows != counts.get("urls"):
        yield f"pages.parquet has {rows:,} rows, but {counts.get('urls')} URLs were counted."
    if pages != counts.get("pages"):
        yield f"pages.parquet has {pages:,} pages, but {counts.get('pages')} were counted."
    if pages == 0:
        yield "There is not a single page: see the reasons in pages.parquet."
    for name, (end, offset) in ends.items():
        yield from _problems_of_file(folder, name, end, offset)


def _problems_of_file(folder: Path, name: str, end: int | None, offset: int) -> Iterator[str]:
    import pyarrow.parquet as pq

    path = folder / name
    if not path.is_file():
        yield f"{name} is missing."
    elif end is None:
        if pq.read_metadata(path).num_rows <= offset:
            yield f"{name} has fewer rows than pages.parquet says."
    elif path.stat().st_size < end:
        yield f"{name} is {path.stat().st_size:,} bytes long and should hold a page up to {end:,}."
