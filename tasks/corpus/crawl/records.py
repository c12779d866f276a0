"""Source files as record shards: groups of files, each group a shard that is complete or absent."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_whole
from data_lake.tables.documents import ShardWriter, write_parquet
from model.cores import usable_cores
from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.files import read_file
from tasks.corpus.crawl.remote import FetchError, fetched
from tasks.corpus.crawl.source_files import NoSuchSource, SourceFile
from tasks.corpus.crawl.source_record import Record
from tasks.corpus.crawl.sources import find_sources
from tasks.corpus.crawl.stored_rights import heeded
from tasks.corpus.crawl.urls import MAX_URL_LENGTH, canonical
from tasks.stage import PermanentError
from tasks.stage.output import Output
from tasks.stage.workers import map_shards

if TYPE_CHECKING:
    import pyarrow as pa

# On disk. A file of at least this size, or of a size unknown before it is fetched, is a separate shard; so after a kill
# only one file, or a megabyte of small ones, has to be read again.
GROUP_BYTES = 1 << 20
_GROUP_FILES = 1024
# In memory at one time, as rows and as columns; batches four times as large take 22 MB more and save no time.
_BATCH_ROWS, _BATCH_BYTES = 4096, 8 << 20
_WORKER_BYTES = 32 << 20  # on disk; less than this is read before a second process has started


@dataclass(frozen=True)
class _Group:
    """What one process does at a time: the files of one shard."""

    number: int
    files: tuple[SourceFile, ...]
    config: CrawlConfig
    records: Path
    work: Path

    @property
    def done(self) -> Path:
        """The table that exists once the group is finished."""
        return self.work / f"pages-{self.number:05d}.parquet"


def store_files(config: CrawlConfig, out: Output) -> None:
    """Write records/part-*.parquet, and work/pages-*.parquet with a row per record, for all of crawl.paths.

    Groups that a killed run has finished are not read again: the list of files is saved first, so the groups
    are the same even if a list of paths on the network has changed meanwhile.
    """
    groups = _groups(_sources(config, out.work), config, out)
    todo = [group for group in groups if not group.done.exists()]
    done = len(groups) - len(todo)
    size = sum(GROUP_BYTES if file.size is None else file.size for group in todo for file in group.files)
    workers = config.workers or max(1, min(usable_cores(), size // _WORKER_BYTES))
    out.progress(done, len(groups), "groups of files")
    for number, _ in map_shards(_store_group, todo, workers=workers):
        done += 1
        out.progress(done, len(groups), "groups of files", todo[number].files[0].name)


def _sources(config: CrawlConfig, work: Path) -> list[SourceFile]:
    """The files of crawl.paths, as they were when this crawl began."""
    known = work / "sources.json"
    if known.exists():
        return [SourceFile(**file) for file in json.loads(known.read_text())]
    try:
        files = find_sources(config, work)
    except NoSuchSource as error:
        raise PermanentError(str(error)) from error
    write_whole(known, json.dumps([vars(file) for file in files]))
    return files


def _groups(files: list[SourceFile], config: CrawlConfig, out: Output) -> list[_Group]:
    """A group for each file of GROUP_BYTES or more; small files are collected into groups of that size."""
    groups: list[list[SourceFile]] = []
    filling: list[SourceFile] = []
    size = 0
    for file in files:
        more = GROUP_BYTES if file.size is None else file.size
        if more >= GROUP_BYTES:
            groups.append([file])
            continue
        if not filling or size + more > GROUP_BYTES or len(filling) >= _GROUP_FILES:
            filling, size = [], 0
            groups.append(filling)
        filling.append(file)
        size += more
    return [_Group(number, tuple(group), config, out.dir / "records", out.work) for number, group in enumerate(groups)]


def _store_group(group: _Group) -> None:
    """Read the files of a group and write its shard, then its table of pages, which marks the shard as complete."""
    import pyarrow as pa

    from data_lake.tables.schemas import PAGES, RECORDS

    pages: list[pa.Table] = []
    part = f"records/part-{group.number:05d}.parquet"
    with ShardWriter(group.records, RECORDS, shard_bytes=float("inf"), first=group.number) as writer:
        for batch in _batches(group):
            records, about = _tables(batch, part, writer.rows)
            if records.num_rows:
                writer.write_table(records)
            pages.append(about)
    write_parquet(group.done, pa.concat_tables([*pages, PAGES.empty_table()]))


def _batches(group: _Group) -> Iterator[list[tuple[str, int, Record]]]:
    """The records of a group as (file's name, number in the file, record), a few megabytes at a time."""
    batch: list[tuple[str, int, Record]] = []
    size = 0
    for file in group.files:
        for number, record in enumerate(_read(file, group.config, group.work)):
            batch.append((file.name, number, record))
            size += len(record.content)
            if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _tables(batch: list[tuple[str, int, Record]], part: str, row: int) -> tuple[pa.Table, pa.Table]:
    """The rows of a batch for records/ and for pages.parquet, built column by column: building them from dicts cost
    four times as much as reading the rows."""
    from data_lake.tables.schemas import PAGES, RECORDS

    kept = [record.problem is None for _, _, record in batch]
    urls = [canonical(record.url) if record.url else None for _, _, record in batch]
    places = itertools.count(row)
    records: dict[str, list[Any]] = {
        name: [getattr(record, name) for record in itertools.compress((r for _, _, r in batch), kept)]
        for name in ("record_id", "fetched_at", "title", "mime", "charset", "content")
    }
    records["url"] = list(itertools.compress(urls, kept))
    records["source"] = [name for name, _, record in batch if record.problem is None]
    pages: dict[str, list[Any]] = {
        "url": [
            (url or record.url or f"{name}#{record.record_id or number}")[:MAX_URL_LENGTH]
            for url, (name, number, record) in zip(urls, batch, strict=True)
        ],
        "source": [name for name, _, _ in batch],
        "reason": [record.problem or "read" for _, _, record in batch],
        "detail": [record.detail for _, _, record in batch],
        "mime": [record.mime for _, _, record in batch],
        "n_bytes": [record.n_bytes for _, _, record in batch],
        "fetched_at": [record.fetched_at for _, _, record in batch],
        "payload_digest": [_digest(record) if keep else None for keep, (_, _, record) in zip(kept, batch, strict=True)],
        "file": [part if keep else None for keep in kept],
        "offset": [next(places) if keep else None for keep in kept],
        "rights": [record.rights for _, _, record in batch],
    }
    return _table(records, sum(kept), RECORDS), _table(pages, len(batch), PAGES)


def _digest(record: Record) -> str:
    """Return the digest of everything in a record but its address: a different title alone makes a new document."""
    said = hashlib.sha256(record.content)
    said.update(f"\0{record.record_id}\0{record.title}\0{record.charset}".encode("utf-8", "surrogatepass"))
    return said.hexdigest()


def _table(columns: dict[str, list[Any]], rows: int, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(rows, field.type))
            continue
        try:
            arrays.append(pa.array(values, field.type))
        except UnicodeEncodeError:  # half a surrogate pair, which JSON and file names may contain
            whole = [None if value is None else value.encode("utf-8", "replace").decode() for value in values]
            arrays.append(pa.array(whole, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _read(file: SourceFile, config: CrawlConfig, work: Path) -> Iterator[Record]:
    def records(path: Path) -> Iterator[Record]:
        for record in read_file(path, file.name, config):
            yield heeded(record, config.honour, config.agent_name)

    if file.problem is not None:
        yield Record(problem=file.problem, detail=file.detail)
    elif not file.remote:
        yield from records(Path(file.place))
    else:
        try:
            with fetched(file.place, config, work) as path:
                yield from records(path)
        except FetchError as error:
            yield Record(problem=error.reason, detail=error.detail)
