"""The crawl's config: where it may go, how politely, and what it keeps."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from tasks.corpus.crawl.row_config import CsvFormat, FieldNames
from tasks.corpus.crawl.source_files import is_remote
from tasks.corpus.crawl.urls import canonical, host_of
from tasks.stage.config import Execution, StageConfig
from tasks.stage.patterns import Regex

OptOut = Literal[
    "noindex",
    "nofollow",
    "noarchive",
    "noai",
    "tdm-reservation",
    "content-signal",
    "content-usage",
    "rsl",
    "rsl-unknown",
]
PYDOC_HOST = "python-docs.localhost"


class PathLists(StageConfig):
    """How lists of paths (*.paths, *.paths.gz; one path per line), such as Common Crawl's, are read."""

    base: str = Field(
        "",
        description="folder or URL that the lines are relative to, such as https://data.commoncrawl.org/ or "
        "s3://commoncrawl/; empty = the root of the server that the list comes from, the folder of a local one",
    )
    files: int | None = Field(
        None, ge=1, description="files to take of each list, evenly spread over it; empty = all of them"
    )


class S3Access(StageConfig):
    """How s3:// sources are reached. Credentials come from the environment (AWS_ACCESS_KEY_ID ...), never from here."""

    endpoint: str = Field(
        "", description="URL of a store other than Amazon's (MinIO ...); empty = $AWS_ENDPOINT_URL, else Amazon's"
    )
    region: str = Execution("", description="region of the bucket; empty = $AWS_REGION, else looked up")
    anonymous: bool = Execution(False, description="send no credentials, as public buckets allow")


class CrawlConfig(StageConfig):
    """Sources of raw pages: web sites, files, or Python's own documentation server."""

    server: Literal["none", "pydoc"] = Field(
        "none", description="start a server to crawl: `pydoc` is the documentation server that ships with Python"
    )
    seeds: tuple[str, ...] = Field((), description="URLs to start from")
    sitemaps: bool = Field(
        False, description="also start from the sitemaps that robots.txt names, else from /sitemap.xml"
    )
    max_sitemaps: int = Field(1000, ge=1, description="at most so many sitemaps are read per host")
    follow_links: bool = Field(
        True, description="follow links on pages; false = visit only the seeds and what sitemaps and feeds list"
    )
    paths: tuple[str, ...] = Field(
        (),
        description="files, folders, patterns (`**` = any folders; links to folders are followed once; a name's bytes "
        r"that are not UTF-8 are spelled \xe9), http(s):// and s3:// URLs, lists of them (*.paths.gz) to take in; "
        "txt, md, rst, html, json, jsonl, csv, tsv, parquet, warc, wet, arc, plain or compressed (gz, zst, bz2, xz)",
    )
    path_lists: PathLists = Field(PathLists(), description="how lists of paths are read")
    s3: S3Access = Field(S3Access(), description="how s3:// sources are reached")
    fields: FieldNames = Field(FieldNames(), description="columns of the rows in jsonl, json, csv and parquet files")
    csv: CsvFormat = Field(CsvFormat(), description="how csv and tsv files are read")

    hosts: tuple[str, ...] = Field(
        (),
        description="hosts that may be visited; `*.example.org` includes subdomains; empty = the hosts of the seeds",
    )
    include: tuple[Regex, ...] = Field((), description="regexes; a URL must match one of them anywhere; empty = all")
    exclude: tuple[Regex, ...] = Field((), description="regexes; a URL that matches one of them is not visited")
    same_site: bool = Field(
        False,
        description="with empty `hosts`: all hosts of the seeds' registered domains (public suffix list), so a seed at "
        "www.example.co.uk includes docs.example.co.uk, but not other.co.uk",
    )
    drop_parameters: tuple[Regex, ...] = Field(
        (),
        description="regexes: names of query parameters that do not change a page; known tracking ones are built in",
    )
    max_depth: int = Field(20, ge=0, description="at most so many links between a seed and a page")
    max_pages: int = Field(10_000, ge=1, description="at most so many pages are kept")
    cut_repeats: bool = Field(
        True,
        description="stop visiting URLs that differ only in numbers and parameter values when 24 of 40 such pages in a "
        "row have no new word; the row is in the order of the responses, so a few pages more or fewer may be cut next "
        "time, unless there is one host and one request at a time (per_host)",
    )
    breadth_first: bool = Field(
        True,
        description="start a depth only when the one above it is done on all hosts, so that the pages within max_pages "
        "are the same each time; false = never wait for a slow host",
    )
    max_megabytes: int = Field(
        10_000,
        ge=1,
        description="total size of the bodies kept, in MB of 10^6 bytes; unlike max_pages it takes the pages of the "
        "last depth in the order of the responses, so with several hosts or per_host > 1 they vary from run to run",
    )
    mime: tuple[str, ...] = Field(
        ("text/html", "application/xhtml+xml", "text/plain", "text/markdown"), description="MIME types that are kept"
    )
    max_page_megabytes: float = Field(
        8.0,
        gt=0,
        le=1024,
        description="size of a page's body (compressed and decompressed) or of a record of a file, in MB",
    )
    max_file_megabytes: int = Field(
        20_000, ge=1, description="size of a decompressed source file, in MB; the rest of a longer one is not read"
    )
    digest_ignore: tuple[Regex, ...] = Field(
        (), description="regexes; what they match is ignored when a page is compared with its earlier version"
    )
    strict_http: bool = Field(
        False,
        description="refuse responses that violate HTTP; false = read them as browsers do (two equal lengths, an "
        "unknown Content-Encoding, more or less than was announced ...); the row's detail says what was odd",
    )
    obey_robots: bool = Field(True, description="obey robots.txt (RFC 9309) with Crawl-delay and Request-rate")
    honour: tuple[OptOut, ...] = Field(
        ("noindex", "nofollow", "noai", "tdm-reservation", "content-signal", "content-usage", "rsl"),
        description="opt-outs that are honoured (docs/opt-outs.md): robots meta tags and X-Robots-Tag, TDMRep, Content "
        "Signals, the IETF's Content-Usage, RSL licences; `rsl-unknown`: also RSL terms that cannot be read or depend "
        "on who asks; nofollow keeps the page but not its links, the others keep its links but not the page",
    )
    user_agent: str = Field(
        "textmill/0.1",
        pattern=r"^[A-Za-z_-]+(/[\x21-\x7e]+)?( [\x20-\x7e]+)?$",
        description="name sent with each request; the part before the slash is looked up in robots.txt",
    )
    contact: str = Execution(
        "",
        pattern=r"^[\x21-\x7e]*$",
        description="e-mail address or URL where a site's owner can reach you; sent with the user agent",
    )
    allow_private_hosts: tuple[str, ...] = Field(
        (), description="hosts that may resolve to private or loopback addresses; all others are refused there"
    )
    resolve: dict[str, tuple[str, ...]] = Field(
        {}, description="addresses (ip:port) of a host name, used instead of DNS, as with `curl --resolve`"
    )

    rate: float | None = Execution(
        None, gt=0, description="requests per second to all hosts together; empty = no limit"
    )
    delay: float = Execution(
        1.0, ge=0, description="seconds between the starts of two requests to one host; a longer Crawl-delay wins"
    )
    max_crawl_delay: float = Execution(30.0, ge=0, description="seconds; a longer Crawl-delay is shortened to this")
    concurrency: int = Execution(16, ge=1, le=1024, description="simultaneous requests")
    per_host: int = Execution(1, ge=1, le=64, description="simultaneous requests to one host")
    page_seconds: float = Execution(30.0, gt=0, description="seconds for a page, from connection to last byte")
    tries: int = Execution(4, ge=1, le=20, description="attempts at a page after failures that may be temporary")
    backoff: float = Execution(
        1.0, gt=0, description="seconds before the first retry; doubles each time, up to 5 minutes, with jitter"
    )
    failing_after: int = Execution(
        10,
        ge=1,
        description="consecutive failures (no response, 5xx) after which a host is left alone for `failing_rest`",
    )
    failing_rest: float = Execution(
        60.0, gt=0, description="seconds that a failing host is left alone; doubles each time, up to an hour"
    )
    failing_rests: int = Execution(3, ge=0, description="such pauses after which a host that still fails is given up")
    trust_lastmod: bool = Field(
        False, description="in a refresh, do not request pages that are unchanged according to a sitemap"
    )
    max_age: float | None = Execution(
        None, ge=0, description="seconds after which the sources are visited again; empty = never"
    )
    workers: int = Execution(
        0, ge=0, description="processes that read source files; 0 = one per core if there is enough work"
    )
    server_processes: int = Execution(2, ge=1, le=16, description="processes of the `server`, if there is one")
    warc_megabytes: int = Execution(512, ge=1, description="size at which a new WARC file is started, in MB")

    @field_validator("seeds")
    @classmethod
    def _canonical_seeds(cls, seeds: tuple[str, ...]) -> tuple[str, ...]:
        for seed in seeds:
            if canonical(seed) is None:
                raise ValueError(
                    f"{seed!r} is not an http(s) URL without credentials, such as https://example.org/docs/"
                )
        return seeds

    @field_validator("paths")
    @classmethod
    def _no_credentials(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            scheme, mark, rest = path.partition("://")
            if not mark:
                continue
            if not is_remote(path):
                raise ValueError(f"{scheme}:// cannot be read; name local files, or http://, https:// or s3:// URLs")
            if "@" in rest.split("/")[0] or re.search(r"[?&](X-Amz-\w+|Signature|sig|token)=", path, re.I):
                raise ValueError(
                    f"the URL of {rest.split('/')[0].rpartition('@')[2]} contains credentials, which would get into "
                    "manifests and logs; for s3:// put them into the environment (AWS_ACCESS_KEY_ID ...)"
                )
        return paths

    @field_validator("resolve")
    @classmethod
    def _addresses(cls, resolve: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for host, addresses in resolve.items():
            for address in addresses:
                if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+):\d{1,5}", address):
                    raise ValueError(f"{address!r} for {host} is not an ip:port, such as 127.0.0.1:8000")
        return resolve

    @property
    def agent_name(self) -> str:
        """The product token that robots.txt and meta tags may address."""
        return self.user_agent.partition("/")[0].partition(" ")[0]

    @property
    def agent(self) -> str:
        """The User-Agent header: name, version, and how to reach the person who runs the crawl."""
        return f"{self.user_agent} (+{self.contact})" if self.contact else self.user_agent

    @property
    def all_seeds(self) -> tuple[str, ...]:
        """The configured seeds and, if a server is started, its front pages."""
        pydoc = [f"http://{PYDOC_HOST}/{page}.html" for page in ("index", "topics", "keywords")]
        return (*self.seeds, *(pydoc if self.server == "pydoc" else ()))

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """The hosts that may be visited."""
        return self.hosts or tuple(sorted({host_of(canonical(seed) or "") for seed in self.all_seeds}))
