"""What crawl can check before it runs: that there is a source, and that its local files exist."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.source_files import is_remote
from tasks.stage.preflight import Facts, Fault, attempt

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: CrawlConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why there is nothing to crawl."""
    from tasks.corpus.crawl.source_files import require_local

    if not (config.all_seeds or config.paths):
        yield Fault("crawl", "The crawl has no source: set crawl.seeds, crawl.paths or crawl.server in the recipe.")
    for entry in config.paths:
        if not is_remote(entry):
            yield from attempt("crawl.paths", require_local, entry)
