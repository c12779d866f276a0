"""The crawl stage: visits the sources, stores every page once, and lists what became of every URL."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.crawl.config import PYDOC_HOST, CrawlConfig
from tasks.crawl.pydoc_server import pydoc_server, python_identity
from tasks.stage import Artifact, Output, PermanentError, stage

if TYPE_CHECKING:
    from data_lake.ledger import Ledger

KEPT = ("fetched", "unchanged", "unreachable_kept", "read")
"""The reasons in pages.parquet that stand for a page or record that the artifact holds."""


def source_fingerprint(config: CrawlConfig) -> str | None:
    """Return what the result depends on outside the recipe: the files' content, the Python whose pages are served."""
    from tasks.crawl.fingerprints import fingerprint_files

    parts = []
    if config.paths:
        try:
            parts.append(fingerprint_files(config.paths))
        except OSError:
            parts.append("unreadable")  # the stage itself fails with a sentence; a plan must not
    if config.server == "pydoc":
        parts.append(python_identity())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else None


def pages_fingerprint(folder: Path) -> str:
    """Return sha256 (hex) over the sorted pairs of URL and payload digest: not the dates, so that visiting an
    unchanged site again changes nothing downstream."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "pages.parquet", columns=["url", "payload_digest", "file"])
    pairs = sorted(
        f"{url}\0{digest}\n"
        for url, digest, file in zip(*(column.to_pylist() for column in table.columns), strict=True)
        if file is not None
    )
    return hashlib.sha256("".join(pairs).encode()).hexdigest()


def check(artifact: Artifact) -> Iterator[str]:
    """The output contract: the tables are there, agree with the counts, and every page's place is in its file."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from data_lake.schemas import PAGES

    pages = pq.read_table(artifact.path / "pages.parquet")
    if not pages.schema.equals(PAGES):
        yield "pages.parquet does not have the schema data_lake.schemas.PAGES."
        return
    counts = artifact.counts
    kept = pages.filter(pc.is_valid(pages["file"]))
    if pages.num_rows != counts.get("urls"):
        yield f"pages.parquet has {pages.num_rows:,} rows, but {counts.get('urls')} URLs were counted."
    if kept.num_rows != counts.get("pages"):
        yield f"pages.parquet has {kept.num_rows:,} pages, but {counts.get('pages')} were counted."
    if kept.num_rows == 0:
        yield "There is not a single page: see the reasons in pages.parquet."
    ends = (
        kept.append_column("end", pc.add(kept["offset"], kept["length"]))
        .group_by("file")
        .aggregate([("end", "max"), ("offset", "max")])
    )
    for row in ends.to_pylist():
        path = artifact.path / row["file"]
        if not path.is_file():
            yield f"{row['file']} is missing."
        elif row["end_max"] is None:
            if pq.read_metadata(path).num_rows <= row["offset_max"]:
                yield f"{row['file']} has fewer rows than pages.parquet says."
        elif path.stat().st_size < row["end_max"]:
            size = path.stat().st_size
            yield f"{row['file']} is {size:,} bytes long and should hold a page up to {row['end_max']:,}."


@stage(
    version=2,
    retries=3,
    code=[
        "tasks.crawl",
        "data_lake.schemas",
        "data_lake.documents",
    ],
    contract=check,
    content=pages_fingerprint,
    sources=source_fingerprint,
)
def crawl(config: CrawlConfig, out: Output) -> None:
    """Read the files, visit the sites, write pages.parquet."""
    if not (config.all_seeds or config.paths):
        raise PermanentError("The crawl has no source: set crawl.seeds, crawl.paths or crawl.server in the recipe.")
    started = time.perf_counter()
    if config.paths:
        from tasks.crawl.records import store_files

        store_files(config, out)
    requests = _visit_sites(config, out) if config.all_seeds else 0
    reasons, ledger = _write_pages(out)
    kept = sum(reasons[reason] for reason in KEPT)
    if kept == 0:
        told = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(5))
        raise PermanentError(f"The crawl brought no page at all ({told}); look at crawl.seeds, scope and robots.txt.")
    out.ledger(ledger)
    out.count(urls=sum(reasons.values()), pages=kept, bytes=ledger.kept.bytes, unchanged=reasons["unchanged"])
    seconds = time.perf_counter() - started
    megabytes = ledger.kept.bytes / 1e6
    out.metric(pages=kept, megabytes=megabytes, pages_per_second=kept / seconds, requests=requests)
    from tasks.figures import funnel

    out.figure("pages", funnel({"crawl": ledger}, title="URLs met, and what became of them"))


def _visit_sites(config: CrawlConfig, out: Output) -> int:
    """Crawl the sites; return the number of requests sent now. The frontier is left in out.work."""
    from tasks.crawl.crawler import Crawler
    from tasks.crawl.frontier import Frontier
    from tasks.crawl.warc import WarcWriter

    database, warc_folder = out.work / "frontier.sqlite", out.dir / "warc"
    warc_folder.mkdir(exist_ok=True)
    frontier = Frontier(database, warc_folder, breadth_first=config.breadth_first)
    age = time.time() - frontier.started
    if config.max_age is not None and age > config.max_age + 3600:
        out.info(f"A crawl that was interrupted {age / 3600:,.0f} h ago is too old to go on with; starting anew.")
        frontier.close()
        for path in [*warc_folder.iterdir(), *out.work.glob("frontier.sqlite*")]:
            path.unlink()
        frontier = Frontier(database, warc_folder, breadth_first=config.breadth_first)
    if out.previous is not None:
        frontier.set_previous(out.previous.path.name, _previous_pages(out.previous))
    if config.seeds and not config.contact:
        out.warning("crawl.contact is empty: name a mail address or URL, so that a site's owner can reach you.")
    with contextlib.ExitStack() as stack:
        stack.callback(frontier.close)
        resolve = dict(config.resolve)
        if config.server == "pydoc":
            resolve[PYDOC_HOST] = stack.enter_context(pydoc_server(config.server_processes))
        about = {"http-header-user-agent": config.agent, "robots": "obey" if config.obey_robots else "ignore"}
        warc = WarcWriter(
            warc_folder, rotate_bytes=int(config.warc_megabytes * 1e6), software="textmill", on_warcinfo=about
        )
        stack.callback(warc.close)
        crawler = Crawler(config, out, frontier, warc, resolve, out.previous.path if out.previous else None)
        asyncio.run(crawler.run())
        return crawler.requests


def _previous_pages(previous: Artifact) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pages of the crawl that is refreshed, with their URLs."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(previous.path / "pages.parquet").iter_batches():
        for row in batch.to_pylist():
            if (row["file"] or "").startswith("warc/"):
                yield row["url"], row


def _write_pages(out: Output) -> tuple[Counter[str], Ledger]:
    """Write pages.parquet from the frontier and the files' tables; return the reasons and the ledger."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_lake.documents import write_parquet
    from data_lake.ledger import Tally
    from data_lake.schemas import PAGES
    from tasks.crawl.frontier import Frontier

    def tables() -> Iterator[pa.Table]:
        if (out.work / "frontier.sqlite").exists():
            frontier = Frontier(out.work / "frontier.sqlite", out.dir / "warc")
            pages = frontier.pages()
            while rows := list(itertools.islice(pages, 65_536)):
                yield pa.Table.from_pylist(rows, schema=PAGES)
            frontier.close()
        for path in sorted(out.work.glob("pages-*.parquet")):
            yield pq.read_table(path, schema=PAGES)

    tally, reasons = Tally(), Counter[str]()

    def counted() -> Iterator[pa.Table]:
        for table in tables():
            for reason, n_bytes in zip(table["reason"].to_pylist(), table["n_bytes"].to_pylist(), strict=True):
                reasons[reason] += 1
                tally.keep(n_bytes) if reason in KEPT else tally.remove(reason, n_bytes)
            yield table

    write_parquet(out.dir / "pages.parquet", pa.concat_tables([PAGES.empty_table(), *counted()]))
    return reasons, tally.ledger()
