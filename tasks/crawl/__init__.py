"""crawl: from web sites and files to WARC records and one table of all pages."""

from tasks.crawl.config import CrawlConfig
from tasks.crawl.stage import crawl

__all__ = ["CrawlConfig", "crawl"]
