"""The crawler against a real server: politeness, opt-outs, failing hosts, sitemaps, traps, and kills at any moment.

Also covers: tasks/corpus/crawl/inside.py
Also covers: tasks/corpus/crawl/outcome.py
"""

from __future__ import annotations

import calendar
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from data_lake.store.lake import Lake
from tasks.stage import PermanentError
from tests.tasks.corpus.crawl.conftest import Answer, Site
from tests.tasks.corpus.crawl.test_stage import pages, reasons, refresh, run
from tests.tasks.corpus.crawl.test_warc import check

PREAMBLE = ("/robots.txt", "/.well-known/tdmrep.json")


def asked(site: Site) -> Counter[str]:
    return Counter(path for path in site.paths() if path not in PREAMBLE)


# -- robots.txt --------------------------------------------------------------------------------------------------------


def test_robots_are_followed_through_redirects_and_read_to_500_kib(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"", 301, {"Location": "/r2"})
    site.pages["/r2"] = Answer(b"", 302, {"Location": "/r3"})
    site.pages["/r3"] = Answer(b"User-agent: *\nDisallow: /early\n" + b"# filler\n" * 200_000 + b"Disallow: /late\n")
    site.page("/", "/early", "/late")
    site.page("/late")
    found = reasons(run(site, tmp_path, max_page_megabytes=0.1))
    assert found == {"/": "fetched", "/early": "robots", "/late": "fetched"}


def test_six_redirects_of_robots_are_no_robots(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"", 301, {"Location": "/r1"})
    for number in range(1, 9):
        site.pages[f"/r{number}"] = Answer(b"", 301, {"Location": f"/r{number + 1}"})
    site.page("/")
    assert reasons(run(site, tmp_path)) == {"/": "fetched"}
    assert "/r6" not in site.paths()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_robots_4xx_allow_all(site, tmp_path, status):
    site.pages["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /", status)
    site.page("/")
    assert reasons(run(site, tmp_path)) == {"/": "fetched"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_robots_that_are_not_to_be_had_are_asked_for_a_few_times_only(site, tmp_path, status):
    site.pages["/robots.txt"] = Answer(b"", status)
    seeds = tuple(f"{site.url}/{number}" for number in range(30))
    with pytest.raises(PermanentError, match="30 robots_unreachable"):
        run(site, tmp_path, seeds=seeds, tries=3)
    assert site.paths() == ["/robots.txt"] * 3


def test_robots_behind_a_redirect_that_is_not_followed_allow_nothing(site, tmp_path):
    site.pages["/robots.txt"] = Answer(b"", 302, {"Location": "http://10.0.0.7/robots.txt"})
    site.page("/")
    with pytest.raises(PermanentError, match="1 robots_unreachable"):
        run(site, tmp_path, tries=2)
    assert site.paths() == ["/robots.txt"] * 2


def test_robots_that_ask_for_patience_get_it(site, tmp_path):
    answers = iter([Answer(b"", 503, {"Retry-After": "1"}), Answer(b"User-agent: *\nDisallow: /private")])
    site.pages["/robots.txt"] = lambda headers: next(answers)
    site.page("/", "/private")
    assert reasons(run(site, tmp_path)) == {"/": "fetched", "/private": "robots"}
    (first, _, _), (second, _, _) = (asked for asked in site.asked if asked[1] == "/robots.txt")
    assert second - first >= 1


# -- what pages ask of crawlers ----------------------------------------------------------------------------------------


def opted_out(site: Site) -> None:
    site.pages["/.well-known/tdmrep.json"] = Answer(json.dumps([{"location": "/tdm/*", "tdm-reservation": 1}]).encode())
    links = ("/noai", "/noai-header", "/archive", "/meta", "/header", "/tdm/file", "/tdm/free", "/other")
    site.page("/", *links)
    site.pages["/noai"] = Answer(b"<meta name=robots content='noai, noimageai'><a href=/below>")
    site.page("/noai-header", **{"X-Robots-Tag": "noai"})
    site.page("/archive", **{"X-Robots-Tag": "noarchive"})
    site.pages["/meta"] = Answer(b"<meta name=tdm-reservation content=1>")
    site.page("/header", **{"tdm-reservation": "1"})
    site.page("/tdm/file")
    site.page("/tdm/free", **{"tdm-reservation": "0"})
    site.page("/other", **{"X-Robots-Tag": "otherbot: noindex, nofollow"})
    site.page("/below")


def test_noai_and_text_mining_reservations_are_honoured_by_default(site, tmp_path):
    opted_out(site)
    assert reasons(run(site, tmp_path)) == {
        "/": "fetched",
        "/noai": "noai",
        "/noai-header": "noai",
        "/archive": "fetched",
        "/meta": "tdm_reservation",
        "/header": "tdm_reservation",
        "/tdm/file": "tdm_reservation",
        "/tdm/free": "fetched",
        "/other": "fetched",
        "/below": "fetched",
    }
    (path,) = check(tmp_path / "warc")
    stored = {line for line in gzip.decompress(path.read_bytes()).splitlines() if line.startswith(b"WARC-Target-URI")}
    assert {line.rpartition(b"/")[2] for line in stored} == {b"", b"archive", b"free", b"other", b"below"}


def test_opt_outs_are_options(site, tmp_path):
    opted_out(site)
    found = reasons(run(site, tmp_path / "a", honour=()))
    assert set(found.values()) == {"fetched"}
    assert "/.well-known/tdmrep.json" not in site.paths()
    assert reasons(run(site, tmp_path / "b", honour=("noarchive",)))["/archive"] == "noarchive"


def test_a_page_that_says_noai_later_leaves_although_it_has_not_changed(site, tmp_path):
    said: dict[str, str] = {}

    def page(headers: dict[str, str]) -> Answer:
        return Answer(b"<p>text", 304 if "if-none-match" in headers else 200, {"ETag": '"1"', **said})

    site.page("/", "/a")
    site.pages["/a"] = page
    lake = Lake(tmp_path)
    assert reasons(pages(site, refresh(site, lake).path))["/a"] == "fetched"
    assert reasons(pages(site, refresh(site, lake).path))["/a"] == "unchanged"
    said["X-Robots-Tag"] = "noai"
    assert reasons(pages(site, refresh(site, lake).path)) == {"/": "unchanged", "/a": "noai"}


# -- cookies, addresses, limits ----------------------------------------------------------------------------------------


def test_cookies_are_neither_stored_nor_sent(site, tmp_path):
    site.page("/", "/a", "/b", **{"Set-Cookie": "visitor=SECRET"})
    site.page("/a", **{"Set-Cookie": "visitor=SECRET"})
    site.page("/b")
    run(site, tmp_path, per_host=1)
    assert all("cookie" not in headers for _, _, headers in site.asked)
    (path,) = check(tmp_path / "warc")
    assert b"SECRET" not in gzip.decompress(path.read_bytes())


def test_a_redirect_to_a_private_address_is_refused_even_inside_the_scope(site, tmp_path):
    site.page("/", "/r1", "/r2")
    site.pages["/r1"] = Answer(b"", 302, {"Location": f"http://2130706433:{site.port}/admin"})
    site.pages["/r2"] = Answer(b"", 302, {"Location": f"http://[::ffff:127.0.0.1]:{site.port}/admin"})
    found = reasons(run(site, tmp_path, hosts=("site.test", "127.0.0.1", "::ffff:7f00:1")))
    assert Counter(found.values()) == {"fetched": 1, "redirect": 2, "private_address": 2}
    assert "/admin" not in site.paths()


def test_bytes_are_a_limit_too(site, tmp_path):
    site.page("/", *[f"/{n}" for n in range(30)])
    for n in range(30):
        site.pages[f"/{n}"] = Answer(random.Random(n).randbytes(200_000), headers={"Content-Type": "text/plain"})
    found = Counter(reasons(run(site, tmp_path, max_megabytes=1, per_host=1, concurrency=1)).values())
    assert found["fetched"] == 6
    assert found["page_limit"] == 25


def test_parameters_that_do_not_matter_are_one_page(site, tmp_path):
    site.page("/", "/p?id=1&from=a", "/p?from=b&id=1", "/p?id=2&utm_source=x")
    site.page("/p?id=1")
    site.page("/p?id=2")
    found = reasons(run(site, tmp_path, drop_parameters=("from",)))
    same = dict.fromkeys(("/p?id=1&from=a", "/p?from=b&id=1", "/p?id=2&utm_source=x"), "same_page")
    assert found == {"/": "fetched", "/p?id=1": "fetched", "/p?id=2": "fetched"} | same


def test_a_calendar_without_end_is_cut(site, tmp_path):
    months = list(calendar.month_name)[1:]

    def month(number: int):
        body = f"<h1>{months[number % 12]}</h1><table>{number}</table><a href=/show?month={number + 1}>next</a>"
        return lambda headers: Answer(body.encode())

    site.page("/", "/show?month=0")
    for number in range(500):
        site.pages[f"/show?month={number}"] = month(number)
    found = Counter(reasons(run(site, tmp_path, max_depth=1000)).values())
    assert found["trap"] == 1
    assert found["fetched"] < 150
    again = Counter(reasons(run(site, tmp_path / "b", max_depth=200, cut_repeats=False)).values())
    assert again["fetched"] == 201


# -- hosts that fail ---------------------------------------------------------------------------------------------------


def test_a_failing_host_is_left_alone_and_given_up(site, tmp_path):
    site.page("/", *[f"/{n}" for n in range(200)])
    for n in range(200):
        site.pages[f"/{n}"] = Answer(b"", 503)
    found = Counter(reasons(run(site, tmp_path, failing_after=5, failing_rest=0.02, failing_rests=2, tries=3)).values())
    assert found["fetched"] == 1
    assert found["host_failing"] > 150
    assert sum(asked(site).values()) < 30


def test_a_host_that_recovers_is_crawled_to_its_end(site, tmp_path):
    down = {"left": 9}

    def page(headers: dict[str, str]) -> Answer:
        down["left"] -= 1
        return Answer(b"", 502) if down["left"] >= 0 else Answer(b"<p>fine")

    site.page("/", *[f"/{n}" for n in range(10)])
    site.pages |= {f"/{n}": page for n in range(10)}
    found = reasons(run(site, tmp_path, failing_after=5, failing_rest=0.02, failing_rests=30, tries=20))
    assert set(found.values()) == {"fetched"}


def test_a_host_that_is_down_keeps_its_pages_in_a_refresh(site, tmp_path):
    site.page("/", *[f"/{n}" for n in range(40)])
    for n in range(40):
        site.page(f"/{n}")
    lake = Lake(tmp_path)
    first = refresh(site, lake, failing_after=3, failing_rest=0.01, failing_rests=1)
    site.asked.clear()
    for path in site.pages:
        site.pages[path] = Answer(b"", 503)
    second = refresh(site, lake, failing_after=3, failing_rest=0.01, failing_rests=1, tries=2)
    assert set(reasons(pages(site, second.path)).values()) == {"unreachable_kept"}
    assert second.content == first.content
    check(second.path / "warc")


def test_429_slows_the_host_down_without_counting_as_a_failure(site, tmp_path):
    answers = iter([Answer(b"", 429, {"Retry-After": "1"}), Answer(b"fine")])
    site.pages["/"] = lambda headers: next(answers)
    run(site, tmp_path, failing_after=1, failing_rests=0)
    first, second = [when for when, path, _ in site.asked if path == "/"]
    assert second - first >= 0.95


# -- order -------------------------------------------------------------------------------------------------------------


def test_the_same_pages_of_several_hosts_are_chosen_whatever_answers_first(site, tmp_path):
    chance = random.Random(3)
    names = [f"{letter}.test" for letter in "abcd"]
    place = dict.fromkeys(names, (f"127.0.0.1:{site.port}",))
    for n in range(60):
        links = [f"http://{chance.choice(names)}:{site.port}/{chance.randrange(60)}" for _ in range(4)]
        site.page(f"/{n}", *links, text=hashlib.md5(b"%d" % n).hexdigest())
    chosen = []
    for attempt in range(3):
        for n in range(60):
            site.pages[f"/{n}"].delay = chance.choice([0, 0, 0.01, 0.03])
        seeds = tuple(f"http://{name}:{site.port}/0" for name in names)
        found = run(site, tmp_path / str(attempt), seeds=seeds, resolve=place, max_pages=50, per_host=3)
        chosen.append({(url, row["depth"]) for url, row in found.items() if row["reason"] == "fetched"})
    assert len(chosen[0]) == 50
    assert chosen[0] == chosen[1] == chosen[2]


def test_a_slow_host_holds_nobody_up_without_breadth_first(site, tmp_path):
    place = dict.fromkeys(("slow.test", "quick.test"), (f"127.0.0.1:{site.port}",))
    site.page("/slow")
    site.pages["/slow"].delay = 1.5
    for n in range(5):
        site.page(f"/quick{n}", f"/quick{n + 1}")
    seeds = (f"http://slow.test:{site.port}/slow", f"http://quick.test:{site.port}/quick0")
    run(site, tmp_path, seeds=seeds, resolve=place, breadth_first=False)
    times = {path: when for when, path, _ in site.asked}
    assert times["/quick4"] - times["/slow"] < 1.2


# -- sitemaps ----------------------------------------------------------------------------------------------------------


def test_sitemaps_without_a_word_in_robots_and_limits(site, tmp_path):
    names = [f"{site.url}/map{n}.xml" for n in range(9)]
    site.pages["/sitemap.xml"] = Answer(("<sitemapindex>" + "".join(f"<loc>{u}</loc>" for u in names)).encode())
    for n in range(9):
        site.pages[f"/map{n}.xml"] = Answer(f"<urlset><url><loc>{site.url}/p{n}</loc></url></urlset>".encode())
        site.page(f"/p{n}")
    site.page("/")
    found = Counter(reasons(run(site, tmp_path, sitemaps=True, max_sitemaps=5)).values())
    assert found == {"list": 5, "fetched": 5, "sitemap_limit": 5}


def test_a_refresh_trusts_sitemaps_on_request(site, tmp_path):
    entries = "".join(
        f"<url><loc>{site.url}/{name}</loc><lastmod>{date}</lastmod></url>"
        for name, date in (("old", "2020-01-01"), ("new", "2099-01-01"))
    )
    site.pages["/sitemap.xml"] = Answer(f"<urlset>{entries}</urlset>".encode())
    for path in ("/", "/old", "/new"):
        site.page(path)
    lake = Lake(tmp_path)
    settings = {"sitemaps": True, "trust_lastmod": True}
    first = refresh(site, lake, **settings)
    site.asked.clear()
    second = refresh(site, lake, **settings)
    assert second.content == first.content
    assert set(asked(site)) == {"/", "/new", "/sitemap.xml"}
    assert {path for path, row in pages(site, second.path).items() if row["reason"] == "unchanged"} == {
        "/",
        "/old",
        "/new",
    }


# -- kills -------------------------------------------------------------------------------------------------------------


def test_kills_at_random_moments_cost_what_was_under_way(site, tmp_path):
    """Sitemaps, redirects, missing pages and failures too: what came to its end before a kill is never asked again."""
    chance = random.Random(11)
    count, kills, per_host = 240, 5, 3
    listed = "".join(f"<url><loc>{site.url}/{n}</loc></url>" for n in range(0, count, 2))
    site.pages["/sitemap.xml"] = Answer(f"<urlset>{listed}</urlset>".encode())
    site.page("/", *[f"/{n}" for n in range(1, count, 2)])
    for n in range(count):
        if n % 10 == 3:
            site.pages[f"/{n}"] = Answer(b"", 302, {"Location": f"/{n}/target"})
            site.page(f"/{n}/target", text=hashlib.md5(b"t%d" % n).hexdigest())
        elif n % 10 == 6:
            site.pages[f"/{n}"] = Answer(b"", 404)
        else:
            site.page(f"/{n}", f"/{chance.randrange(count)}", text=hashlib.md5(b"%d" % n).hexdigest() * 90)
        site.pages[f"/{n}"].delay = 0.01
    settings = {"sitemaps": True, "per_host": per_host, "warc_megabytes": 1}
    script = (
        "from pathlib import Path; from tasks.corpus.crawl import CrawlConfig, crawl; from tasks.stage import "
        "local_output; "
        f"crawl(CrawlConfig(seeds=('{site.url}/',), resolve={site.resolve!r}, delay=0.0, **{settings!r}), "
        f"local_output(Path({str(tmp_path)!r})))"
    )
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[4])
        before = len(site.asked)
        while process.poll() is None and len(site.asked) <= before:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.01, 0.15))
        assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    found = reasons(run(site, tmp_path, **settings))
    assert Counter(found.values()) == {
        "fetched": 1 + count - count // 10, "redirect": count // 10, "http_404": count // 10, "list": 1
    }  # fmt: skip
    again = asked(site)
    assert set(again) == {path.removeprefix(site.url) for path in found}
    assert sum(again.values()) - len(again) <= kills * per_host
    for path in PREAMBLE:
        assert site.paths().count(path) <= 2
    check(tmp_path / "warc")
