"""Source files as record shards: groups of files, each group a shard that is whole or absent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from data_lake.documents import ShardWriter, write_parquet
from tasks.crawl.config import CrawlConfig
from tasks.crawl.files import SourceFile, find_files, read_file
from tasks.crawl.urls import canonical
from tasks.output import Output
from tasks.stage import PermanentError

GROUP_BYTES = 256 << 20  # of files as they lie on disk


def store_files(config: CrawlConfig, out: Output) -> None:
    """Write records/part-*.parquet, and work/pages-*.parquet with a row per record, for all of crawl.paths.

    A group that a killed run has finished is not read again.
    """
    try:
        files = find_files(config.paths)
    except FileNotFoundError as error:
        raise PermanentError(str(error)) from error
    groups = _groups(files)
    for number, group in enumerate(groups):
        out.progress(number, len(groups), "groups of files", group[0].name)
        done = out.work / f"pages-{number:05d}.parquet"
        if not done.exists():
            _store_group(number, group, config, out.dir / "records", done)
    out.progress(len(groups), len(groups), "groups of files")


def _groups(files: list[SourceFile]) -> list[list[SourceFile]]:
    groups: list[list[SourceFile]] = []
    size = GROUP_BYTES
    for file in files:
        if size >= GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.path.stat().st_size
    return groups


def _store_group(number: int, group: list[SourceFile], config: CrawlConfig, folder: Path, done: Path) -> None:
    import pyarrow as pa

    from data_lake.schemas import PAGES, RECORDS

    tables, pages = [], list[dict[str, Any]]()
    with ShardWriter(folder, RECORDS, shard_bytes=float("inf"), first=number) as writer:
        row = 0
        for file in group:
            for position, record in enumerate(read_file(file, config)):
                url = canonical(record.url) if record.url else None
                page: dict[str, Any] = {
                    "url": url or record.url or f"{file.name}#{record.record_id or position}",
                    "source": file.name,
                    "reason": record.problem or "read",
                    "detail": record.detail,
                    "mime": record.mime,
                    "n_bytes": record.n_bytes,
                    "fetched_at": record.fetched_at,
                }
                if record.problem is None:
                    names = ("record_id", "title", "mime", "charset", "fetched_at", "content")
                    writer.write({"url": url, "source": file.name} | {name: getattr(record, name) for name in names})
                    digest = hashlib.sha256(record.content).hexdigest()
                    page |= {"payload_digest": digest, "file": f"records/part-{number:05d}.parquet", "offset": row}
                    row += 1
                pages.append(page)
                if len(pages) >= 65_536:
                    tables.append(pa.Table.from_pylist(pages, schema=PAGES))
                    pages = []
    write_parquet(done, pa.concat_tables([*tables, pa.Table.from_pylist(pages, schema=PAGES)]))
