"""What the crawl can say before it runs: that there is a source, and that its local files are there."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.crawl.config import CrawlConfig, is_remote
from tasks.preflight import Facts, Fault, attempt


def check(config: CrawlConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why there is nothing to crawl."""
    from tasks.crawl.sources import require_local

    if not (config.all_seeds or config.paths):
        yield Fault("crawl", "The crawl has no source: set crawl.seeds, crawl.paths or crawl.server in the recipe.")
    for entry in config.paths:
        if not is_remote(entry):
            yield from attempt("crawl.paths", require_local, entry)
