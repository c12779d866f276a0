"""Scrapy over the same site with the same limits, storing each page as a gzip member of one file.

`python scrapy_spider.py URL FOLDER CONCURRENCY [queue]`: with `queue`, Scrapy's queue is on disk too (JOBDIR), which
is what it has to resume; a kill -9 loses it nevertheless, as it is written when the crawl stops.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.linkextractors import LinkExtractor


class Spider(scrapy.Spider):
    """Follows every link of every page."""

    name = "bench"
    allowed_domains = ("127.0.0.1",)
    extractor = LinkExtractor()

    def __init__(self, url: str, folder: str) -> None:
        super().__init__()
        self.start_urls = [url]
        self._file = open(Path(folder) / "pages.gz", "wb")  # noqa: SIM115 (open while the spider lives)

    def parse(self, response):
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        head = f"{response.url}\r\n{response.headers.to_string().decode('latin-1')}\r\n\r\n".encode()
        self._file.write(packer.compress(head) + packer.compress(response.body) + packer.flush())
        for link in self.extractor.extract_links(response):
            yield scrapy.Request(link.url)


def main() -> None:
    """Crawl."""
    url, folder, concurrency, *more = sys.argv[1:]
    settings = {
        "CONCURRENT_REQUESTS": int(concurrency),
        "CONCURRENT_REQUESTS_PER_DOMAIN": int(concurrency),
        "DOWNLOAD_DELAY": 0,
        "ROBOTSTXT_OBEY": True,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_ENABLED": False,
        **({"JOBDIR": f"{folder}/job"} if more else {}),
    }
    process = CrawlerProcess(settings)
    process.crawl(Spider, url=url, folder=folder)
    process.start()


if __name__ == "__main__":
    main()
