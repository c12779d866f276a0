"""crawl: from web sites and files to WARC records and one table of all pages."""

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.stage import crawl

__all__ = ["CrawlConfig", "crawl"]
