"""The process that cleans one shard: `python -m tasks.clean.worker JOB.json`.

A page is parsed by C code, which can hang, crash or be killed for its memory. So each shard has a process of its own;
it notes the page it is at, and a kernel timer ends it when a page takes too long. The stage then starts it again
without that page.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_lake.documents import ShardWriter, doc_id, write_parquet
from data_lake.ledger import Tally
from tasks.clean.config import CleanConfig
from tasks.clean.page import Cleaned, clean_page


@dataclass(frozen=True)
class Job:
    """One shard's work. `first` and `last` count the kept rows of pages.parquet; `skip` maps bad pages to a reason."""

    number: int
    first: int
    last: int
    crawl: str
    output: str
    work: str
    config: dict[str, Any]
    skip: dict[str, str]

    @property
    def at(self) -> Path:
        """The file that says which page the process is at."""
        return Path(self.work) / f"shard-{self.number:05d}.at"

    @property
    def done(self) -> Path:
        """The file that holds the shard's ledger once the shard is whole."""
        return Path(self.work) / f"shard-{self.number:05d}.json"


def run(job: Job) -> None:
    """Clean the pages of a shard; write documents/, removed/ and, last, the ledger."""
    import pyarrow as pa

    from data_lake.documents import shard_path
    from data_lake.schemas import DOCUMENTS, REMOVED

    config = CleanConfig.model_validate(job.config)
    tally = Tally()
    removed: list[dict[str, Any]] = []
    documents = ShardWriter(Path(job.output) / "documents", DOCUMENTS, shard_bytes=float("inf"), first=job.number)
    place = os.open(job.at, os.O_RDWR | os.O_CREAT, 0o644)
    with documents:
        for number, page in enumerate(_pages(job), start=job.first):
            os.pwrite(place, b"%20d" % number, 0)
            cleaned = _clean(page, config, job.skip.get(str(number)))
            identity = doc_id(url=page["url"], record_id=page["record_id"], source=page["source"], text=cleaned.text)
            about = {"doc_id": identity, "url": page["url"], "source": page["source"]}
            verdict = cleaned.verdict
            if verdict is None:
                n_bytes = len(cleaned.text.encode())
                tally.keep(page["n_bytes"], written=n_bytes)
                about |= {"fetched_at": page["fetched_at"], "title": cleaned.title, "text": cleaned.text}
                documents.write(about | {"n_bytes": n_bytes})
            else:
                tally.remove(verdict.reason, page["n_bytes"])
                sample = cleaned.text[: config.sample_characters]
                removed.append(about | asdict(verdict) | {"text": sample, "n_bytes": page["n_bytes"]})
    os.close(place)
    write_parquet(shard_path(Path(job.output) / "removed", job.number), pa.Table.from_pylist(removed, schema=REMOVED))
    part = job.done.with_suffix(".part")
    part.write_text(json.dumps(tally.ledger().to_dict()))
    os.replace(part, job.done)


def _clean(page: dict[str, Any], config: CleanConfig, skip: str | None) -> Cleaned:
    from tasks.clean.filters import Verdict

    title = page["title"] or ""
    if skip is not None:
        reason, _, detail = skip.partition(": ")
        return Cleaned(title, "", Verdict(reason, float(config.page_seconds), float(config.page_seconds), detail))
    if page["content"] is None:
        return Cleaned(title, "", Verdict("unreadable_record", 1.0, 0.0))
    signal.alarm(config.page_seconds)  # without a handler the signal ends the process: it works inside C code too
    try:
        return clean_page(page["content"], page["mime"], page["charset"], page["title"], config)
    finally:
        signal.alarm(0)


def _pages(job: Job) -> Iterator[dict[str, Any]]:
    """Yield the job's pages with their content, from WARC files and record shards, in the order of pages.parquet."""
    from tasks.clean.encoding import charset_of
    from tasks.crawl.warc import read_responses

    root = Path(job.crawl)
    shard: Any = None
    for row in kept_pages(root).slice(job.first, job.last - job.first).to_pylist():
        if row["file"].startswith("records/"):
            if shard is None or shard.path != root / row["file"]:
                shard = _Records(root / row["file"])
            record = shard.row(row["offset"])
            yield row | {name: record[name] for name in ("record_id", "url", "title", "mime", "charset", "content")}
        else:
            content_type, body = next(iter(read_responses(root, [(row["file"], row["offset"])])))
            charset = charset_of(content_type)
            content = body if content_type is not None or body else None
            yield row | {"record_id": "", "title": None, "charset": charset, "content": content}


def kept_pages(root: Path) -> Any:
    """Return the rows of pages.parquet that have a page behind them: a pyarrow table."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(root / "pages.parquet")
    return table.filter(pc.is_valid(table["file"]))


class _Records:
    """Rows of a record shard; the row group last used is kept, as rows are asked for in order."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self._file = pq.ParquetFile(path)
        self._group, self._first, self._last = -1, 0, 0
        self._table: Any = None

    def row(self, number: int) -> dict[str, Any]:
        """Return a row as a dict."""
        if number < self._first:
            self._group, self._first, self._last = -1, 0, 0
        while number >= self._last:
            self._group += 1
            self._first = self._last
            self._last += self._file.metadata.row_group(self._group).num_rows
            self._table = None
        if self._table is None:
            self._table = self._file.read_row_group(self._group)
        return self._table.slice(number - self._first, 1).to_pylist()[0]


def _end_with_parent() -> None:
    """End when the stage's process ends: its end of our standard input closes."""
    if sys.platform == "linux":
        try:
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: at once, even inside C code
        except (ImportError, OSError, AttributeError):
            pass

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    run(Job(**json.loads(Path(sys.argv[1]).read_text())))
