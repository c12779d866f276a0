"""The crawl stage: visits the sources, stores every page once, and lists the outcome of every URL."""

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

from tasks.corpus.crawl.config import PYDOC_HOST, CrawlConfig
from tasks.corpus.crawl.preflight import check as faults
from tasks.corpus.crawl.pydoc_server import pydoc_server, python_identity
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.work import crawling

if TYPE_CHECKING:
    import pyarrow as pa


NOT_VISITED = frozenset(
    {"other_host", "too_deep", "not_included", "nofollow", "not_followed", "same_page", "page_limit"}
)
_SAYS_NO = (
    "the site says that nobody may train on it; what was said is in the column rights, what is heeded crawl.honour"
)
_WAYS = {
    "robots": "robots.txt does not let us (crawl.obey_robots, crawl.user_agent)",
    "robots_unreachable": "its robots.txt could not be had, so nothing may be asked for; try again later",
    "noindex": "the page asks not to be taken (crawl.honour)",
    "mime": "its type is none of crawl.mime",
    "list": "it is a list, and none of what it names became a page",
    "excluded": "crawl.exclude matches it",
    "http_404": "there is no such page; check crawl.seeds",
    **dict.fromkeys(("noai", "tdm_reservation", "content_signal", "content_usage", "rsl", "rsl_unknown"), _SAYS_NO),
}


def source_fingerprint(config: CrawlConfig) -> str | None:
    """Return what the result depends on outside the recipe: the files' content, the Python whose docs are served."""
    from tasks.corpus.crawl.fingerprints import fingerprint_files

    parts = []
    if config.paths:
        try:
            parts.append(fingerprint_files(config.paths))
        except OSError:
            parts.append("unreadable")  # the stage itself fails with a clear message; planning must not fail
    if config.server == "pydoc":
        parts.append(python_identity())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else None


def check(artifact: Artifact) -> Iterator[str]:
    """The output contract: the table of pages agrees with the counts, and every page's position is inside its file."""
    from tasks.corpus.crawl.pages import problems_of_pages

    yield from problems_of_pages(artifact.path, artifact.counts)


def content(folder: Path) -> str:
    """The fingerprint of what a crawl contains: its URLs and payloads."""
    from tasks.corpus.crawl.pages import pages_fingerprint

    return pages_fingerprint(folder)


@stage(
    makes=kinds.Pages,
    version=2,
    retries=3,
    contract=check,
    content=content,
    sources=source_fingerprint,
    check=faults,
    # the list only widens the hosts of seeds; hosts that the recipe names are used as they are
    without=lambda config: {"publicsuffixlist"} if config.hosts or not config.all_hosts else (),
    work=crawling,
)
def crawl(config: CrawlConfig, out: Output) -> None:
    """Read the files, visit the sites, write pages.parquet.

    `pages` is how many pages were kept, `megabytes` the size of their bodies, `pages_per_second` how many were kept in
    a second, and `requests` the number of requests to sites, including robots.txt and pages that were not kept.
    """
    if not (config.all_seeds or config.paths):
        raise PermanentError("The crawl has no source: set crawl.seeds, crawl.paths or crawl.server in the recipe.")
    from tasks.corpus.crawl.pages import KEPT, write_pages

    started = time.perf_counter()
    if config.paths:
        from tasks.corpus.crawl.records import store_files

        store_files(config, out)
    requests = _visit_sites(config, out) if config.all_seeds else 0
    rest = _refused_rest(out)
    reasons, ledger = write_pages(out.dir, _tables(out), rest)
    kept = sum(reasons[reason] for reason in KEPT)
    if kept == 0:
        raise PermanentError(_nothing(config, out.dir, reasons))
    out.ledger(ledger)
    out.count(urls=sum(reasons.values()), pages=kept, bytes=ledger.kept.bytes, unchanged=reasons["unchanged"])
    out.count(urls_without_row=rest.total())
    seconds = time.perf_counter() - started
    megabytes = ledger.kept.bytes / 1e6
    out.metric(pages=kept, megabytes=megabytes, pages_per_second=kept / seconds, requests=requests)
    from tasks.stage.figures import funnel

    out.figure("pages", funnel({"crawl": ledger}, title="URLs met, and what became of them"))


def _nothing(config: CrawlConfig, folder: Path, reasons: Counter[str]) -> str:
    """Say why there is no page: the most frequent reason, quoted from its first row, else where to look."""
    from tasks.corpus.crawl.pages import first_of

    told = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(5))
    # links that were not followed explain nothing: the page they were found on would itself have been kept
    met = Counter({reason: number for reason, number in reasons.items() if reason not in NOT_VISITED}) or reasons
    for reason, _ in met.most_common():
        place, detail = first_of(folder, reason) or ("", None)
        if detail:
            return f"The crawl found no page at all ({told}): {place}: {detail.rstrip('.')}."
        if way := _WAYS.get(reason):
            return f"The crawl found no page at all ({told}): {place}: {way}."
    places = ["crawl.seeds, scope and robots.txt"] if config.all_seeds else []
    places += ["crawl.paths"] if config.paths else []
    return f"The crawl found no page at all ({told}); check {' and '.join(places)}."


def _visit_sites(config: CrawlConfig, out: Output) -> int:
    """Crawl the sites; return the number of requests sent in this run. The frontier is left in out.work."""
    from tasks.corpus.crawl.crawler import Crawler
    from tasks.corpus.crawl.frontier import Frontier
    from tasks.corpus.crawl.warc import WarcWriter

    database, warc_folder = out.work / "frontier.sqlite", out.dir / "warc"
    warc_folder.mkdir(exist_ok=True)
    frontier = Frontier(database, warc_folder, breadth_first=config.breadth_first)
    age = time.time() - frontier.started
    if config.max_age is not None and age > config.max_age + 3600:
        out.info(f"A crawl that was interrupted {age / 3600:,.0f} h ago is too old to continue; starting again.")
        frontier.close()
        for path in [*warc_folder.iterdir(), *out.work.glob("frontier.sqlite*")]:
            path.unlink()
        frontier = Frontier(database, warc_folder, breadth_first=config.breadth_first)
    if out.refreshes is not None:
        frontier.set_previous(out.refreshes.path.name, _stored_pages(out.refreshes))
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
        crawler = Crawler(config, out, frontier, warc, resolve, out.refreshes.path if out.refreshes else None)
        asyncio.run(crawler.run())
        return crawler.requests


def _stored_pages(refreshed: Artifact) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pages of the crawl that is being refreshed, with their URLs."""
    from tasks.corpus.crawl.pages import PAGES_FILE, read_pages

    for batch in read_pages(refreshed.path / PAGES_FILE):
        for row in batch.to_pylist():
            if (row["file"] or "").startswith("warc/"):
                yield row["url"], row


def _refused_rest(out: Output) -> Counter[str]:
    """Return how many URLs of each reason have no row."""
    from tasks.corpus.crawl.frontier import Frontier

    if not (out.work / "frontier.sqlite").exists():
        return Counter()
    with contextlib.closing(Frontier(out.work / "frontier.sqlite", out.dir / "warc")) as frontier:
        return frontier.refused.rest()


def _tables(out: Output) -> Iterator[pa.Table]:
    """Yield what the frontier and the files' tables say about every URL and record."""
    import pyarrow as pa

    from data_lake.tables.schemas import PAGES
    from tasks.corpus.crawl.frontier import Frontier
    from tasks.corpus.crawl.pages import BATCH_ROWS, read_pages

    if (out.work / "frontier.sqlite").exists():
        with contextlib.closing(Frontier(out.work / "frontier.sqlite", out.dir / "warc")) as frontier:
            pages = itertools.chain(frontier.pages(), frontier.refused.rows())
            while rows := list(itertools.islice(pages, BATCH_ROWS)):
                yield pa.Table.from_pylist(rows, schema=PAGES)
    for path in sorted(out.work.glob("pages-*.parquet")):
        for batch in read_pages(path):
            yield pa.Table.from_batches([batch])
