"""The crawl stage against a real server: what it visits, how it behaves, what it stores."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.crawl.warc_reader import read_responses
from tasks.stage import Output, PermanentError, local_output
from tests.tasks.corpus.crawl.conftest import Answer, Site


def run(site: Site, folder: Path, **settings: Any) -> dict[str, dict[str, Any]]:
    """Crawl the site from its front page; return pages.parquet by path."""
    defaults: dict[str, Any] = {"seeds": (f"{site.url}/",), "resolve": site.resolve, "delay": 0.0, "per_host": 4}
    crawl(CrawlConfig(**{**defaults, "backoff": 0.01, **settings}), local_output(folder))
    return pages(site, folder)


def pages(site: Site, folder: Path) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(folder / "pages.parquet").to_pylist()
    return {row["url"].removeprefix(site.url): row for row in rows}


def reasons(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {path: row["reason"] for path, row in found.items()}


def test_pages_are_found_stored_and_read_back(site, tmp_path):
    site.page("/", "a", "/b#part", "b", "http://elsewhere.test/", "mailto:x@y", text="Grüße")
    site.page("/a", "/")
    site.page("/b", "/a")
    found = run(site, tmp_path)
    kept = {"/": "fetched", "/a": "fetched", "/b": "fetched"}
    assert reasons(found) == kept | {"http://elsewhere.test/": "other_host"}
    assert [found[path]["depth"] for path in ("/", "/a", "/b")] == [0, 1, 1]
    assert sorted(site.paths()) == ["/", "/.well-known/tdmrep.json", "/a", "/b", "/robots.txt"]
    content_type, body = next(iter(read_responses(tmp_path, [(found["/"]["file"], found["/"]["offset"])])))
    assert content_type == "text/html; charset=utf-8"
    assert body == site.pages["/"].body


def test_the_warc_files_are_read_by_warcio_and_fastwarc(site, tmp_path):
    site.page("/", "a")
    site.pages["/a"] = Answer(gzip.compress(b"<p>packed</p>"), headers={"Content-Encoding": "gzip"})
    run(site, tmp_path)
    from fastwarc.warc import ArchiveIterator as Fast
    from warcio.archiveiterator import ArchiveIterator
    from warcio.checker import Checker

    (path,) = (tmp_path / "warc").iterdir()
    with open(path, "rb") as stream:
        records = [
            (r.rec_type, r.rec_headers.get_header("WARC-Target-URI"), r.content_stream().read())
            for r in ArchiveIterator(stream)
        ]
    assert [kind for kind, _, _ in records] == ["warcinfo", *["response", "request", "metadata"] * 2]
    assert records[4][2] == b"<p>packed</p>"
    with open(path, "rb") as stream:
        fast = [r.reader.read() for r in Fast(stream) if r.headers["WARC-Type"] == "response"]
    assert fast == [records[1][2], records[4][2]]
    checker = Checker(type("Args", (), {"inputs": [str(path)], "verbose": False})())
    assert checker.process_all() in (0, None)
    with open(path, "rb") as stream:
        assert stream.read().count(b"\x1f\x8b\x08") >= len(records)


def test_robots_are_obeyed(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"User-agent: textmill\nDisallow: /private\nUser-agent: *\nDisallow: /\n")
    site.page("/", "/private/x", "/open")
    site.page("/open")
    site.page("/private/x")
    assert reasons(run(site, tmp_path)) == {"/": "fetched", "/open": "fetched", "/private/x": "robots"}
    assert "/private/x" not in site.paths()
    assert site.asked[0][2]["user-agent"].startswith("textmill/")


def test_robots_can_be_ignored_when_asked(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /\n")
    site.page("/")
    assert reasons(run(site, tmp_path / "a", obey_robots=False)) == {"/": "fetched"}
    site.asked.clear()
    assert reasons(run(site, tmp_path / "b", obey_robots=False, honour=())) == {"/": "fetched"}
    assert "/robots.txt" not in site.paths()


def test_robots_5xx_means_not_now(site, tmp_path):
    answers = iter([Answer(b"", 503), Answer(b"", 503), Answer(b"User-agent: *\nDisallow: /no\n")])
    site.pages["/robots.txt"] = lambda headers: next(answers)
    site.page("/", "/no")
    assert reasons(run(site, tmp_path)) == {"/": "fetched", "/no": "robots"}
    assert site.paths()[:3] == ["/robots.txt"] * 3


def test_robots_that_never_answer_stop_the_crawl_of_that_host(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"", 500)
    site.page("/")
    with pytest.raises(PermanentError, match="1 robots_unreachable"):
        run(site, tmp_path, tries=2)
    assert set(site.paths()) == {"/robots.txt"}


def test_crawl_delay_is_kept_also_with_many_connections(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"User-agent: *\nCrawl-delay: 0.2\n")
    site.page("/", "/1", "/2", "/3")
    for path in ("/1", "/2", "/3"):
        site.page(path)
    run(site, tmp_path)
    times = [when for when, _, _ in site.asked]
    assert all(later - earlier >= 0.19 for earlier, later in itertools.pairwise(times))


def test_nofollow_noindex_and_rel_nofollow(site, tmp_path):
    site.pages["/"] = Answer(b'<a href="/a">a</a><a rel="nofollow" href="/b">b</a><a href="/c">c</a><a href="/d">d</a>')
    site.pages["/a"] = Answer(b'<META NAME="robots" content="NoFollow"><a href="/x">x</a>')
    site.pages["/c"] = Answer(b'<meta content="noindex" name="robots"><a href="/e">e</a>')
    site.pages["/d"] = Answer(b'<a href="/y">y</a>', headers={"X-Robots-Tag": "none"})
    site.page("/e")
    found = reasons(run(site, tmp_path))
    assert found == {
        "/": "fetched", "/a": "fetched", "/c": "noindex", "/d": "noindex", "/e": "fetched",
        "/b": "nofollow", "/x": "nofollow", "/y": "nofollow",
    }  # fmt: skip


def test_scope_depth_and_limits(site, tmp_path):
    site.page("/", "/1", "/skip/me", "/keep.pdf")
    site.page("/1", "/2")
    site.page("/2", "/3")
    site.pages["/keep.pdf"] = Answer(b"%PDF", headers={"Content-Type": "application/pdf"})
    found = reasons(run(site, tmp_path / "a", exclude=("/skip/",), max_depth=2))
    outside = {"/skip/me": "excluded", "/3": "too_deep"}
    assert found == {"/": "fetched", "/1": "fetched", "/2": "fetched", "/keep.pdf": "mime"} | outside
    found = reasons(run(site, tmp_path / "b", include=(r"/$", r"/\d$"), max_pages=2))
    outside = {"/skip/me": "not_included", "/keep.pdf": "not_included"}
    assert found == {"/": "fetched", "/1": "fetched", "/2": "page_limit"} | outside


def test_the_same_pages_are_chosen_within_a_limit(site, tmp_path):
    site.page("/", *[f"/{n}" for n in range(40)])
    for n in range(40):
        site.page(f"/{n}")
        site.pages[f"/{n}"].delay = 0.03 * (n % 3)
    first = {path for path, reason in reasons(run(site, tmp_path / "a", max_pages=10)).items() if reason == "fetched"}
    for n in range(40):
        site.pages[f"/{n}"].delay = 0.03 * (n % 2)
    again = {path for path, reason in reasons(run(site, tmp_path / "b", max_pages=10)).items() if reason == "fetched"}
    assert first == again
    assert len(first) == 10


def test_redirects_go_through_scope_and_robots(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /secret\n")
    site.page("/", "/in", "/out", "/hidden", "/loop", "/nowhere")
    for path, target in [("/in", "/target"), ("/out", "http://127.0.0.1/admin"), ("/hidden", "/secret")]:
        site.pages[path] = Answer(b"", 302, {"Location": target})
    site.pages["/loop"] = Answer(b"", 301, {"Location": "/loop"})
    site.pages["/nowhere"] = Answer(b"", 301)
    site.page("/target")
    found = run(site, tmp_path)
    assert reasons(found) == {
        "/": "fetched",
        "/in": "redirect",
        "/target": "fetched",
        "/out": "redirect_other_host",
        "/hidden": "redirect",
        "/secret": "robots",
        "/loop": "redirect_loop",
        "/nowhere": "redirect_broken",
    }
    assert found["/out"]["detail"] == "http://127.0.0.1/admin"


def test_a_chain_of_redirects_ends(site, tmp_path):
    site.page("/", "/r0")
    for n in range(30):
        site.pages[f"/r{n}"] = Answer(b"", 302, {"Location": f"/r{n + 1}"})
    found = reasons(run(site, tmp_path))
    assert found["/r10"] == "redirect_loop"
    assert len(found) == 12


def test_private_addresses_are_refused(site, tmp_path):
    for name in ("localhost", "127.0.0.1", "[::1]", "0x7f.1"):
        seed = f"http://{name}:{site.port}/"
        with pytest.raises(PermanentError, match="1 private_address"):
            crawl(CrawlConfig(seeds=(seed,), delay=0.0), local_output(tmp_path / name.strip("[]:")))
    assert site.asked == []


def test_a_private_address_is_visited_when_its_host_is_named(site, tmp_path):
    site.page("/")
    seed = f"http://127.0.0.1:{site.port}/"
    config = CrawlConfig(seeds=(seed,), allow_private_hosts=("127.0.0.1",), delay=0.0)
    crawl(config, local_output(tmp_path))
    assert "/" in site.paths()


def test_transient_failures_are_tried_again_and_others_are_not(site, tmp_path):
    flaky = iter([Answer(b"", 503, {"Retry-After": "0"}), Answer(b"", 429), Answer(b"fine")])
    site.page("/", "/flaky", "/dead", "/missing")
    site.pages["/flaky"] = lambda headers: next(flaky)
    site.pages["/dead"] = Answer(b"", 500)
    found = run(site, tmp_path, tries=3)
    assert reasons(found) == {"/": "fetched", "/flaky": "fetched", "/dead": "http_500", "/missing": "http_404"}
    assert site.paths().count("/dead") == 3
    assert site.paths().count("/missing") == 1


def test_retry_after_is_waited_for(site, tmp_path):
    answers = iter([Answer(b"", 503, {"Retry-After": "1"}), Answer(b"fine")])
    site.pages["/"] = lambda headers: next(answers)
    run(site, tmp_path)
    first, second = [when for when, path, _ in site.asked if path == "/"]
    assert second - first >= 0.95


def test_slow_large_and_packed_pages_are_stopped(site, tmp_path):
    site.page("/", "/slow", "/large", "/bomb", "/torn", "/brotli")
    site.pages["/slow"] = Answer(b"late", delay=3)
    site.pages["/large"] = Answer(b"x" * 200_000)
    site.pages["/bomb"] = Answer(gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"})
    site.pages["/torn"] = Answer(gzip.compress(b"y" * 9999)[:-20], headers={"Content-Encoding": "gzip"})
    site.pages["/brotli"] = Answer(b"\x0b\x02\x80", headers={"Content-Encoding": "br"})
    found = run(site, tmp_path, page_seconds=0.5, max_page_megabytes=0.1, tries=1)
    assert reasons(found) == {
        "/": "fetched",
        "/slow": "timeout",
        "/large": "too_large",
        "/bomb": "too_large",
        "/torn": "broken_encoding",
        "/brotli": "broken_encoding",
    }
    assert all(row["detail"] for path, row in found.items() if path != "/")


def test_sitemaps(site, tmp_path):
    site.pages["/robots.txt"] = Answer(f"Sitemap: {site.url}/map.xml\n".encode())
    site.pages["/map.xml"] = Answer(f"<sitemapindex><loc>{site.url}/deep.xml.gz</loc></sitemapindex>".encode())
    inner = (
        f"<urlset><url><loc>{site.url}/hidden?a=1&amp;b=2</loc></url><url><loc>http://other.test/</loc></url></urlset>"
    )
    site.pages["/deep.xml.gz"] = Answer(gzip.compress(inner.encode()), headers={"Content-Type": "application/gzip"})
    site.page("/")
    site.page("/hidden?a=1&b=2")
    assert reasons(run(site, tmp_path, sitemaps=True)) == {
        "/": "fetched",
        "/map.xml": "list",
        "/deep.xml.gz": "list",
        "/hidden?a=1&b=2": "fetched",
        "http://other.test/": "other_host",
    }


def test_a_kill_at_any_moment_loses_nothing_and_fetches_nothing_twice(site, tmp_path):
    count = 300
    site.page("/", *[f"/{n}" for n in range(count)])
    for n in range(count):
        site.page(f"/{n}", text=f"{hashlib.md5(b'%d' % n).hexdigest()} is number {n}. " * 100)
        site.pages[f"/{n}"].delay = 0.01
    script = (
        "import sys; from pathlib import Path; from tasks.corpus.crawl import CrawlConfig, crawl; "
        "from tasks.stage import local_output; "
        f"crawl(CrawlConfig(seeds=('{site.url}/',), resolve={site.resolve!r}, delay=0.0, per_host=2, "
        f"warc_megabytes=1), local_output(Path({str(tmp_path)!r})))"
    )
    kills = 0
    while kills < 4:
        process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[4])
        before = len(site.asked)
        while process.poll() is None and len(site.asked) < before + 15 + 7 * kills:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills == 4
    found = reasons(run(site, tmp_path, per_host=2))
    assert set(found.values()) == {"fetched"}
    assert len(found) == count + 1
    # only what was under way at a kill may be asked for again: at most per_host pages each time
    preamble = ("/robots.txt", "/.well-known/tdmrep.json")
    assert sum(path not in preamble for path in site.paths()) <= count + 1 + 2 * kills
    assert [site.paths().count(path) for path in preamble] == [1, 1]
    for path, row in pages(site, tmp_path).items():
        _, body = next(iter(read_responses(tmp_path, [(row["file"], row["offset"])])))
        assert body == site.pages[path].body
    from warcio.archiveiterator import ArchiveIterator

    for path in (tmp_path / "warc").iterdir():
        with open(path, "rb") as stream:
            urls = [
                r.rec_headers.get_header("WARC-Target-URI") for r in ArchiveIterator(stream) if r.rec_type == "response"
            ]
        assert len(urls) == len(set(urls))


def refresh(site: Site, lake: Lake, **settings: Any) -> Artifact:
    config = CrawlConfig(
        seeds=(f"{site.url}/",), resolve=site.resolve, delay=0.0, max_age=0.0, backoff=0.01, **settings
    )
    return crawl.build(lake, config, {}).artifact


def test_a_refresh_asks_for_changes_only_and_keeps_dates(site, tmp_path):
    def tagged(headers: dict[str, str]) -> Answer:
        body = b'<p>tagged</p><a href="/new">new</a>'
        return Answer(b"", 304) if headers.get("if-none-match") == '"v1"' else Answer(body, headers={"ETag": '"v1"'})

    site.page("/", "/tagged", "/plain", "/gone", "/down")
    site.pages["/tagged"] = tagged
    site.page("/plain", **{"Last-Modified": "Sat, 01 Nov 2025 10:00:00 GMT"})
    site.page("/gone")
    site.page("/down")
    lake = Lake(tmp_path)
    first = refresh(site, lake)
    old = pages(site, first.path)
    site.asked.clear()
    second = refresh(site, lake)
    new = pages(site, second.path)
    assert second.content == first.content
    assert {path: row["reason"] for path, row in new.items() if row["file"]} == dict.fromkeys(
        ["/", "/tagged", "/plain", "/gone", "/down"], "unchanged"
    )
    assert {path: row["fetched_at"] for path, row in new.items()} == {
        path: row["fetched_at"] for path, row in old.items()
    }
    sent = {path: headers for _, path, headers in site.asked}
    assert sent["/tagged"]["if-none-match"] == '"v1"'
    assert sent["/plain"]["if-modified-since"] == "Sat, 01 Nov 2025 10:00:00 GMT"
    _, body = next(iter(read_responses(second.path, [(new["/tagged"]["file"], new["/tagged"]["offset"])])))
    assert body.startswith(b"<p>tagged</p>")

    site.page("/plain", text="something new")
    site.page("/new")
    del site.pages["/gone"]
    site.pages["/down"] = Answer(b"", 503)
    third = refresh(site, lake, tries=1)
    last = reasons(pages(site, third.path))
    assert third.content != second.content
    assert last["/plain"] == last["/new"] == "fetched"
    assert last["/tagged"] == "unchanged"
    assert last["/gone"] == "http_404"
    assert last["/down"] == "unreachable_kept"


def test_a_refresh_writes_revisit_records(site, tmp_path):
    site.page("/")
    lake = Lake(tmp_path)
    refresh(site, lake)
    second = refresh(site, lake)
    from warcio.archiveiterator import ArchiveIterator

    (path,) = (second.path / "warc").iterdir()
    with open(path, "rb") as stream:
        kinds = {r.rec_type: r.rec_headers for r in ArchiveIterator(stream)}
    assert kinds["revisit"].get_header("WARC-Refers-To") == kinds["response"].get_header("WARC-Record-ID")
    assert kinds["revisit"].get_header("WARC-Profile").endswith("identical-payload-digest")


def test_a_damaged_artifact_breaks_the_contract(site, tmp_path):
    site.page("/", "/a")
    site.page("/a")
    artifact = refresh(site, Lake(tmp_path))
    assert crawl.violations(artifact) == []
    (path,) = (artifact.path / "warc").iterdir()
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.truncate(600)
    assert any("600 bytes long" in sentence for sentence in crawl.violations(artifact))


def test_no_source_and_no_page_are_sentences(tmp_path):
    with pytest.raises(PermanentError, match=r"set crawl\.seeds"):
        crawl(CrawlConfig(), local_output(tmp_path))


def test_the_output_is_resumed_when_only_the_tables_were_missing(site, tmp_path):
    site.page("/")
    config = CrawlConfig(seeds=(f"{site.url}/",), resolve=site.resolve, delay=0.0)
    crawl(config, Output(tmp_path))
    asked = len(site.asked)
    (tmp_path / "pages.parquet").unlink()
    crawl(config, Output(tmp_path))
    assert len(site.asked) == asked
