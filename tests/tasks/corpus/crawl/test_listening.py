"""What sites, licences, feeds and pages say of training, in a crawl; and the cases of all protocols together.

Also covers: tasks/corpus/crawl/licences.py
Also covers: tasks/corpus/crawl/rights.py
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_lake.reading.catalog import Catalog
from data_lake.store.lake import Lake
from tasks.stage import PermanentError
from tests.tasks.corpus.crawl.conftest import Answer, Site
from tests.tasks.corpus.crawl.test_rsl import NS
from tests.tasks.corpus.crawl.test_stage import pages, reasons, refresh, run


def licence(train: str, url: str = "/") -> Answer:
    terms = (
        f"<rsl {NS}><content url='{url}'><license><{train} type='usage'>ai-train</{train}></license></content></rsl>"
    )
    return Answer(terms.encode(), headers={"Content-Type": "application/rsl+xml"})


def rights(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {path: row["rights"]["train"] for path, row in found.items() if row["rights"] is not None}


def test_a_no_of_any_protocol_wins_and_what_was_said_is_kept(site, tmp_path):
    site.pages["/robots.txt"] = Answer(
        b"User-agent: *\nContent-Signal: /signal ai-train=no\n"
        b"Content-Usage: train-ai=y\nContent-Usage: /usage train-ai=n\n"
    )
    site.pages["/no.xml"], site.pages["/yes.xml"] = licence("prohibits"), licence("permits")
    kind = {"Content-Type": "text/html"}
    site.page("/", "/signal", "/usage", "/h1", "/h2", "/h3", "/link", "/meta", "/inline", "/yes", "/gone", "/tdm")
    for path in ("/signal", "/usage"):
        site.page(path)
    site.page("/h1", "/below", **{"Content-Usage": "train-ai=n"})
    site.page("/h2", **{"Content-Signal": "ai-train=no"})
    site.page("/h3", **{"tdm-reservation": "0", "Content-Signal": "ai-train=yes"})
    site.page("/link", Link='</no.xml>; rel="license"; type="application/rsl+xml"')
    site.pages["/meta"] = Answer(b"<link rel=license type=application/rsl+xml href=no.xml>", headers=kind)
    site.pages["/inline"] = Answer(
        b"<script type=application/rsl+xml>" + licence("prohibits").body + b"</script>", headers=kind
    )
    site.pages["/yes"] = Answer(b"<link rel=license type=application/rsl+xml href=yes.xml>", headers=kind)
    site.pages["/gone"] = Answer(b"<link rel=license type=application/rsl+xml href=gone.xml>", headers=kind)
    site.page("/tdm", **{"tdm-reservation": "1"})
    site.page("/below")
    found = run(site, tmp_path / "a")
    assert reasons(found) == {
        "/": "fetched", "/signal": "content_signal", "/usage": "content_usage", "/h1": "content_usage",
        "/h2": "content_signal", "/h3": "fetched", "/link": "rsl", "/meta": "rsl", "/inline": "rsl", "/yes": "fetched",
        "/gone": "fetched", "/tdm": "tdm_reservation", "/below": "fetched",
    }  # fmt: skip
    assert set(rights(found).values()) == {"allow", "deny"}
    (said,) = [one for one in found["/link"]["rights"]["said"] if one["protocol"] == "rsl"]
    assert (said["train"], said["where"]) == ("deny", "header")
    assert said["words"] == f"{site.url}/no.xml: prohibits ai-train"
    assert said["at"].year >= 2026
    assert {one["where"] for one in found["/usage"]["rights"]["said"]} == {f"{site.url}/robots.txt"}
    assert site.paths().count("/no.xml") == 1
    free = run(site, tmp_path / "b", honour=())
    assert set(reasons(free).values()) == {"fetched"}
    assert rights(free)["/h1"] == "deny"  # known all the same, so that who takes it knows what it is
    assert reasons(run(site, tmp_path / "c", honour=("rsl", "rsl-unknown")))["/gone"] == "rsl_unknown"


def test_silence_is_unknown(site, tmp_path):
    site.page("/")
    row = run(site, tmp_path)["/"]
    assert row["rights"] == {"train": "unknown", "said": []}


@pytest.mark.parametrize("no", ["Content-Signal: ai-train=no", "Content-Usage: train-ai=n", "License: {}/l.xml"])
def test_a_site_that_says_no_as_a_whole_is_not_visited(site, tmp_path, no):
    site.pages["/robots.txt"] = Answer(f"{no.format(site.url)}\nUser-agent: *\nAllow: /\n".encode())
    site.pages["/l.xml"] = licence("prohibits")
    site.page("/", "/a")
    with pytest.raises(PermanentError):
        run(site, tmp_path)
    assert not {"/", "/a"} & set(site.paths())


def test_what_robots_say_of_training_is_a_setting_of_its_own(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /\nContent-Signal: ai-train=no\n")
    site.page("/")
    with pytest.raises(PermanentError, match="1 content_signal"):
        run(site, tmp_path, obey_robots=False)


def test_licences_are_fetched_with_limits(site, tmp_path):
    refused = ("http://10.0.0.7/l.xml", "http://127.0.0.1:1/l.xml", "ftp://h/l.xml", f"{site.url}/big.xml",
               f"{site.url}/loop.xml", f"{site.url}/secret.xml", f"{site.url}/out.xml")  # fmt: skip
    lines = "".join(f"License: {url}\n" for url in refused)
    site.pages["/robots.txt"] = Answer(f"{lines}User-agent: *\nDisallow: /secret.xml\n".encode())
    site.pages["/big.xml"] = Answer(licence("prohibits").body + b" " * 1_100_000)
    site.pages["/loop.xml"] = Answer(b"", 302, {"Location": "/loop.xml"})
    site.pages["/out.xml"] = Answer(b"", 302, {"Location": "http://10.0.0.7/l.xml"})
    site.pages["/secret.xml"] = licence("prohibits")
    site.page("/")
    row = run(site, tmp_path)["/"]
    assert row["rights"]["train"] == "unknown"
    words = {one["words"].partition(": cannot be read ")[0]: one["words"] for one in row["rights"]["said"]}
    assert set(words) == set(refused)
    whys = ["private_address", "private_address", "no URL", "too_large", "redirects", "robots.txt", "private_address"]
    for url, why in zip(refused, whys, strict=True):
        assert why in words[url]
    assert "/secret.xml" not in site.paths()
    assert site.paths().count("/loop.xml") == 6


def test_a_feed_takes_back_a_page_that_was_stored_before_it_was_read(site, tmp_path):
    def feed(headers: dict[str, str]) -> Answer:
        time.sleep(0.2)  # the page is there first
        terms = '<rsl:license><rsl:prohibits type="usage">all</rsl:prohibits></rsl:license>'
        item = f'<item><link>{site.url}/post</link><rsl:content url="">{terms}</rsl:content></item>'
        return Answer(f'<rss xmlns:rsl="https://rslstandard.org/rsl"><channel>{item}</channel></rss>'.encode(),
                      headers={"Content-Type": "application/rss+xml"})  # fmt: skip

    site.page("/", "/post", "/feed")
    site.page("/post")
    site.pages["/feed"] = feed
    found = run(site, tmp_path)
    assert reasons(found) == {"/": "fetched", "/post": "rsl", "/feed": "list"}
    assert found["/post"]["file"] is None
    assert found["/post"]["n_bytes"] == 0


def test_a_page_leaves_when_its_site_or_licence_changes_its_mind(site, tmp_path):
    def page(headers: dict[str, str]) -> Answer:
        answer = {"ETag": '"1"'} if "if-none-match" in headers else {"ETag": '"1"', "Content-Signal": "ai-train=yes"}
        body = b"<link rel=license type=application/rsl+xml href=/l.xml><p>text"
        return Answer(body, 304 if "if-none-match" in headers else 200, answer)

    site.page("/", "/a")
    site.pages["/a"], site.pages["/l.xml"] = page, licence("permits")
    lake = Lake(tmp_path)
    refresh(site, lake)
    found = pages(site, refresh(site, lake).path)
    assert (found["/a"]["reason"], found["/a"]["rights"]["train"]) == ("unchanged", "allow")
    assert {one["where"] for one in found["/a"]["rights"]["said"]} == {"header", "page"}
    site.pages["/l.xml"] = licence("prohibits")
    changed = refresh(site, lake)
    assert reasons(pages(site, changed.path)) == {"/": "unchanged", "/a": "rsl"}
    with Catalog(lake) as catalog:
        rows = catalog.query(
            "SELECT s.protocol, s.train FROM (SELECT unnest(rights.said) s FROM pages) ORDER BY ALL"
        ).rows
        assert list(rows) == [("content-signal", "allow"), ("rsl", "deny")]


@pytest.mark.shared
def test_the_cases_come_out_right(shared_data: Path, site: Site, tmp_path: Path):
    origin = f"http://e.example:{site.port}"
    place = {"e.example": (f"127.0.0.1:{site.port}",)}
    for number, line in enumerate((shared_data / "13_optouts" / "cases.jsonl").read_text().splitlines()):
        case = json.loads(line)
        texts = {path: text.encode() for path, text in case.get("files", {}).items()}
        texts["/robots.txt"] = case.get("robots", "").replace("https://e.example", origin).encode()
        texts["/.well-known/tdmrep.json"] = json.dumps(case.get("tdmrep", [])).encode()
        site.pages = {path: Answer(text) for path, text in texts.items()}
        headers: dict[str, str] = {}
        for name, value in case.get("headers", []):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        site.pages[case["path"]] = Answer(f"<html>{case.get('html', '')}<body><p>Text".encode(), headers=headers)
        with contextlib.suppress(PermanentError):  # not one page is kept
            run(site, tmp_path / str(number), seeds=(origin + case["path"],), resolve=place, user_agent=case["agent"])
        (row,) = pq.read_table(tmp_path / str(number) / "pages.parquet").to_pylist()
        train = "unknown" if row["rights"] is None else row["rights"]["train"]
        assert {"fetch": row["reason"] != "robots", "train": train} == case["expect"], case
        assert (row["file"] is None) == (train == "deny" or row["reason"] == "robots"), case
