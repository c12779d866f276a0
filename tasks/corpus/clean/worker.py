"""The process that cleans shards: `python -m tasks.corpus.clean.worker` reads a job's path from each line of its input.

The work has two halves: extraction up to repaired text, and the filtering of texts. A job asks for both at once or for
one of them. They are separate jobs if lines that a site repeats are to be removed, because then all pages must have
been read before the first one is judged.

Pages are parsed by C code, which can hang, crash or be killed for its memory use, so the stage does not parse them in
its own process. The worker records which page it is working on, and a kernel timer ends it when a page takes too long.
Another worker then repeats the shard: if trafilatura may have been the cause, that page is extracted with the block
model alone; if it fails again, it is left out. A process that has grown large ends after a shard, which frees the
memory that parsers leak (trafilatura #216).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from data_lake.reading.ledger import Tally
from data_lake.store.files import write_whole
from data_lake.tables.documents import ShardWriter, write_parquet
from tasks.corpus.clean import boilerplate
from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.filters.base import Removal
from tasks.corpus.clean.identity import identity, read_repeats
from tasks.corpus.clean.page import HTML, Cleaned, clean_page
from tasks.corpus.clean.refine import Refined, Refiner
from tasks.corpus.clean.reuse import IndexWriter, Outcome, Reusable, page_key

Phase = Literal["all", "extract", "judge"]

_FIRST = (
    b"<title>First</title><nav><ul><li><a href=/>Home</a><li><a href=/all>All</a></ul></nav><main><h1>First</h1>"
    + b"<p>A page with a bit of everything, and with sentences that are long enough to be somebody's text.</p>" * 3
    + b"<ul><li>a list</ul><table><tr><th>a<th>table<tr><td>1<td>2</table><pre>a\n  code</pre></main><p>End"
)


@dataclass(frozen=True)
class Job:
    """One shard's work. `first` and `last` count the kept rows of pages.parquet; `skip` maps bad pages to a reason.

    plain: pages that ended a process once, and are tried again without trafilatura.
    reuse_from: an artifact whose outcomes are reused for the pages it contains; "" = none.
    networks: the folders of the classifiers that the lake has, by name.
    threads: how many of its cores this process may use for them.
    """

    number: int
    first: int
    last: int
    crawl: str
    output: str
    work: str
    config: dict[str, Any]
    skip: dict[str, str]
    phase: Phase = "all"
    reuse_from: str = ""
    plain: list[str] = field(default_factory=list)
    networks: dict[str, str] = field(default_factory=dict)
    threads: int = 1

    @property
    def _name(self) -> str:
        return f"{'extract' if self.phase == 'extract' else 'shard'}-{self.number:05d}"

    @property
    def at(self) -> Path:
        """The file that says which page the process is working on."""
        return Path(self.work) / f"{self._name}.at"

    @property
    def bad(self) -> Path:
        """The file that says which pages ended a process, and how: the values of `skip` and `plain`."""
        return Path(self.work) / f"{self._name}.bad.json"

    @property
    def done(self) -> Path:
        """The file that holds the shard's ledger and counts; it exists once the shard is complete."""
        return Path(self.work) / f"{self._name}.json"


def run(job: Job) -> None:
    """Do one shard's work; the file `job.done` is written last."""
    config = CleanConfig.model_validate(job.config)
    if job.phase == "extract":
        _extract_shard(job, config)
        result: dict[str, Any] = {}
    else:
        result = _judge_shard(job, config)
    write_whole(job.done, json.dumps(result))


def _extract_shard(job: Job, config: CleanConfig) -> None:
    """Write the texts of a shard, and for each line of a host the number of pages that contain it."""
    lines, place = boilerplate.LineCounts(), Place(job.at)
    with boilerplate.texts_writer(Path(job.work), job.number) as texts:
        for page, cleaned in _cleaned(job, config, place):
            place.leave()
            assert isinstance(cleaned, Cleaned)  # the extraction phase never reuses outcomes
            if cleaned.removal is None:
                lines.add(page["url"], cleaned.text)
            row = {name: page[name] for name in ("url", "source", "doc_id", "fetched_at", "rights", "n_bytes")}
            texts.write(row | {"cleaned": json.dumps(asdict(cleaned))})
    lines.write(Path(job.work), job.number)


def _judge_shard(job: Job, config: CleanConfig) -> dict[str, Any]:
    """Write documents/ and removed/ of a shard; return its ledger and counts."""
    import pyarrow as pa

    from data_lake.tables.documents import shard_path
    from data_lake.tables.schemas import DOCUMENTS, REMOVED

    tally, counts, reused = Tally(), Counter[str](), 0
    index, removed, place = IndexWriter(), [], Place(job.at)
    refiner: Refiner | None = None  # created on demand: without new pages, its libraries need not be loaded
    documents = ShardWriter(Path(job.output) / "documents", DOCUMENTS, shard_bytes=float("inf"), first=job.number)
    with documents:
        for page, found in _cleaned(job, config, place):
            if isinstance(found, Outcome):
                outcome, reused = found, reused + 1
                if outcome.kept:
                    outcome.row.update({name: page[name] for name in ("fetched_at", "rights")})
            else:
                refiner = refiner or _refiner(job, config)
                outcome = _judge(page, found, refiner, config)
            place.leave()
            counts.update(outcome.counts)
            # a page that ended a process may succeed another time, so a later run tries it again
            key = page["key"] if job.phase == "all" and not page.get("ended") else None
            index.add(key, outcome)
            if outcome.kept:
                tally.keep(page["n_bytes"], written=outcome.row["n_bytes"])
                documents.write(outcome.row)
            else:
                tally.remove(outcome.row["reason"], page["n_bytes"])
                removed.append(outcome.row)
    write_parquet(shard_path(Path(job.output) / "removed", job.number), pa.Table.from_pylist(removed, schema=REMOVED))
    index.write(Path(job.output), job.number)
    return {"ledger": tally.ledger().to_dict(), "counts": dict(counts), "reused": reused}


def _refiner(job: Job, config: CleanConfig) -> Refiner:
    if job.networks:
        from tasks.corpus.clean.network import use_threads

        use_threads(job.threads)
    return Refiner(config, Path(job.output), {name: Path(folder) for name, folder in job.networks.items()})


def _judge(page: dict[str, Any], cleaned: Cleaned, refiner: Refiner, config: CleanConfig) -> Outcome:
    """Judge a page's text: return its document or its removal."""
    with _time_limit(config):
        refined = refiner.refine(cleaned, page["url"])
    about = {name: page[name] for name in ("doc_id", "url", "source")}
    if refined.removal is None:
        row = about | _columns(page, cleaned, refined) | {"n_bytes": len(refined.text.encode())}
        return Outcome(True, row, refined.counts)
    row = about | asdict(refined.removal) | {"text": refined.text, "n_bytes": page["n_bytes"]}
    return Outcome(False, row, refined.counts)


def _columns(page: dict[str, Any], cleaned: Cleaned, refined: Refined) -> dict[str, Any]:
    """Return the columns of a document other than its id, URL, source and size."""
    return {
        "fetched_at": page["fetched_at"],
        "rights": page["rights"],
        "title": refined.title,
        "text": refined.text,
        "language": refined.language.code,
        "language_score": refined.language.score if refined.language.code else None,
        "quality": refined.quality,
        "author": cleaned.about.author,
        "date": cleaned.about.date,
        "licence": cleaned.about.licence,
        "canonical_url": cleaned.about.canonical_url,
    }


class Place:
    """The page that the process is working on, in a file that outlives the process; empty while results are written.

    A process that a full disk ends in the middle of a Parquet file was not ended by its page.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.leave()

    def enter(self, number: int) -> None:
        """Record that the process starts on a page."""
        os.pwrite(self._file, b"%20d" % number, 0)

    def leave(self) -> None:
        """Record that the process is not working on any page."""
        os.pwrite(self._file, b" " * 20, 0)


def _cleaned(job: Job, config: CleanConfig, place: Place) -> Iterator[tuple[dict[str, Any], Cleaned | Outcome]]:
    """Yield the shard's pages and their texts, in order; the caller must call `place.leave()` after each page.

    If an earlier artifact already has an outcome for a page, that outcome is yielded instead of the text.
    """
    pages = boilerplate.read_texts(Path(job.work), job.number) if job.phase == "judge" else _pages(job)
    ready = False
    for number in range(job.first, job.last):
        place.enter(number)
        page = next(pages)
        skip = job.skip.get(str(number))
        if skip is not None:
            reason, _, detail = skip.partition(": ")
            limit = float(config.page_seconds)
            yield page, Cleaned("", "", Removal(reason, limit, limit, detail))
        elif (known := page.get("outcome")) is not None:
            yield page, known
        elif job.phase == "judge":
            yield page, Cleaned.from_dict(json.loads(page["cleaned"]))
        elif page["content"] is None:
            yield page, Cleaned(page["title"] or "", "", Removal("unreadable_record", 1.0, 0.0))
        else:
            if page["mime"] in HTML and not ready:
                _make_ready(config)
                ready = True
            ended = str(number) in job.plain
            settings = config.without_trafilatura() if ended else config
            with _time_limit(config):
                cleaned = clean_page(
                    page["content"], page["mime"], page["charset"], page["title"], settings, page["url"]
                )
            yield page | {"ended": ended}, cleaned


def _make_ready(config: CleanConfig) -> None:
    """Load and compile the extraction code: 20 s on a fresh machine, which must not count as a page's time."""
    clean_page(_FIRST, "text/html", None, None, config)
    if config.asks_trafilatura:
        clean_page(_FIRST, "text/html", None, None, config.without_trafilatura())


@contextlib.contextmanager
def _time_limit(config: CleanConfig) -> Iterator[None]:
    """End the process if the block takes too long; an alarm without a handler also works inside C code."""
    signal.alarm(config.page_seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _pages(job: Job) -> Iterator[dict[str, Any]]:
    """Yield the job's pages with their content, from WARC files and record shards, in the order of pages.parquet."""
    from tasks.corpus.charsets.declared import charset_of
    from tasks.corpus.crawl.pages import kept_rows
    from tasks.corpus.crawl.warc_reader import read_responses

    root = Path(job.crawl)
    shard: Any = None
    repeats = read_repeats(Path(job.work), job.first, job.last)
    rows = [
        row | {"repeats": numbers} for row, numbers in zip(kept_rows(root, job.first, job.last), repeats, strict=True)
    ]
    # a record's columns replace those of its row below, so the key is computed first
    rows = [row | {"key": page_key(row)} for row in rows]
    reusable = Reusable(Path(job.reuse_from) if job.reuse_from else None, (row["key"] for row in rows))
    for row in rows:
        if (known := reusable.get(row["key"])) is not None:
            yield row | {"outcome": known}
        elif row["file"].startswith("records/"):
            if shard is None or shard.path != root / row["file"]:
                shard = _Records(root / row["file"])
            record = shard.row(row["offset"])
            about = {name: record[name] for name in ("url", "title", "mime", "charset", "content")}
            yield row | about | {"doc_id": identity(row, record["url"], record["record_id"])}
        else:
            content_type, body = next(iter(read_responses(root, [(row["file"], row["offset"])])))
            charset = charset_of(content_type)
            content = body if content_type is not None or body else None
            about = {"title": None, "charset": charset, "content": content}
            yield row | about | {"doc_id": identity(row, row["url"], "")}


class _Records:
    """Rows of a record shard; the row group used last is kept in memory because rows are requested in order."""

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


def _jobs() -> Iterator[Job]:
    """Yield the jobs that the stage sends; exit when the stage's process ends, which closes our standard input."""
    if sys.platform == "linux":
        try:
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: at once, even inside C code
        except (ImportError, OSError, AttributeError):
            pass
    paths: queue.SimpleQueue[str] = queue.SimpleQueue()

    def watch() -> None:
        for line in sys.stdin:
            paths.put(line.removesuffix("\n"))
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    while True:
        yield Job(**json.loads(Path(paths.get()).read_text()))


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for job in _jobs():
        run(job)
        if psutil.Process().memory_info().rss > job.config["recycle_megabytes"] << 20:
            os._exit(0)  # a normal exit would hang: another thread is waiting for input
