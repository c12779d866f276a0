"""Crawls of sites that are not as the standards say: what a browser follows is followed, what it shows is kept."""

from __future__ import annotations

import gzip
import re

import pytest

from data_lake.store.lake import Lake
from tasks.stage import PermanentError
from tests.tasks.corpus.crawl.conftest import Answer
from tests.tasks.corpus.crawl.test_stage import pages, reasons, refresh, run

XML = {"Content-Type": "application/xml"}


def urlset(*urls: str, pad: str = "") -> bytes:
    return f"<urlset>{''.join(f'<url><loc>{url}</loc>{pad}</url>' for url in urls)}</urlset>".encode()


def test_a_relative_sitemap_and_its_relative_locations(site, tmp_path):
    site.page("/")
    site.pages["/robots.txt"] = Answer(b"Sitemap: /maps/all.xml\nUser-agent: *\nAllow: /\n")
    site.pages["/maps/all.xml"] = Answer(b"<sitemapindex><sitemap><loc>a.xml.gz</loc></sitemap></sitemapindex>")
    packed = gzip.compress(urlset("/1", "2")[:40]) + gzip.compress(urlset("/1", "2")[40:])
    site.pages["/maps/a.xml.gz"] = Answer(packed, headers={"Content-Type": "application/gzip"})
    site.page("/1")
    site.page("/maps/2")
    found = run(site, tmp_path, sitemaps=True)
    lists = {"/maps/all.xml": "list", "/maps/a.xml.gz": "list"}
    assert reasons(found) == {"/": "fetched", "/1": "fetched", "/maps/2": "fetched", **lists}
    assert found["/maps/all.xml"]["detail"] == "a list of 1 sitemap"
    assert found["/maps/a.xml.gz"]["detail"] == "a list of 2 URLs"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("seed", ["/", "/sitemap.xml"])
def test_a_sitemap_may_be_larger_than_a_page(site, tmp_path, seed, packed):
    site.page("/")
    for number in range(3):
        site.page(f"/{number}")
    body = urlset(*(f"{site.url}/{number}" for number in range(3)), pad="<x>" + "y" * 100_000 + "</x>")
    headers = {"Content-Encoding": "gzip", **XML} if packed else XML
    site.pages["/sitemap.xml"] = Answer(gzip.compress(body) if packed else body, headers=headers)
    site.pages["/large"] = Answer(b"<p>" + bytes(200_000))
    found = run(site, tmp_path, seeds=(site.url + seed, f"{site.url}/large"), sitemaps=True, max_page_megabytes=0.05)
    assert {path: found[path]["reason"] for path in ("/sitemap.xml", "/0", "/1", "/2", "/large")} == {
        "/sitemap.xml": "list",
        "/0": "fetched",
        "/1": "fetched",
        "/2": "fetched",
        "/large": "too_large",
    }


@pytest.mark.parametrize(
    "body",
    [
        urlset("/1", "/2"),
        b"<?xml version='1.0'?><rss version='2.0'><channel><item><link>/1</link></item><item><link>/2</link></item>"
        b"</channel></rss>",
    ],
)
def test_lists_that_are_sent_as_pages_are_lists(site, tmp_path, body):
    site.pages["/list"] = Answer(body, headers={"Content-Type": "text/html; charset=utf-8"})
    site.page("/1", "/elsewhere")
    site.page("/2")
    found = run(site, tmp_path, seeds=(f"{site.url}/list",), follow_links=False)
    assert reasons(found) == {"/list": "list", "/1": "fetched", "/2": "fetched", "/elsewhere": "not_followed"}


def test_a_seed_may_be_a_plain_list_and_a_page_further_down_is_a_page(site, tmp_path):
    plain = {"Content-Type": "text/plain"}
    site.pages["/urls.txt"] = Answer(f"{site.url}/1\n{site.url}/2\n".encode(), headers=plain)
    site.page("/1", "/more.txt")
    site.page("/2")
    site.pages["/more.txt"] = Answer(b"http://elsewhere.test/\n", headers=plain)
    found = run(site, tmp_path, seeds=(f"{site.url}/urls.txt",))
    assert reasons(found) == {"/urls.txt": "list", "/1": "fetched", "/2": "fetched", "/more.txt": "fetched"}


def test_a_sitemap_of_robots_may_be_a_feed_and_a_page_in_its_place_is_none(site, tmp_path):
    site.page("/")
    site.pages["/robots.txt"] = Answer(f"Sitemap: {site.url}/feed\nSitemap: {site.url}/gone".encode())
    site.pages["/feed"] = Answer(b"<rss><channel><item><link>/1</link></item></channel></rss>", headers=XML)
    site.page("/gone", "/no", text="This page is not here, and it says so with status 200.")
    site.page("/1")
    found = run(site, tmp_path, sitemaps=True)
    assert reasons(found) == {"/": "fetched", "/feed": "list", "/gone": "list", "/1": "fetched"}
    assert found["/gone"]["detail"] == "a list of 0 URLs"


def test_a_front_page_that_only_refreshes_is_followed(site, tmp_path):
    site.pages["/"] = Answer(b"<meta http-equiv=refresh content='0; url=docs/'><title>go on</title>")
    site.page("/docs/", "two.html")
    site.page("/docs/two.html")
    site.pages["/header"] = Answer(b"<title>go on</title>", headers={"Refresh": "0; url=/by-header"})
    site.page("/by-header")
    found = run(site, tmp_path, seeds=(f"{site.url}/", f"{site.url}/header"))
    assert set(reasons(found).values()) == {"fetched"}
    assert set(found) == {"/", "/docs/", "/docs/two.html", "/header", "/by-header"}
    assert found["/"]["detail"] == f"goes on to {site.url}/docs/"
    assert found["/header"]["detail"] == f"goes on to {site.url}/by-header"
    assert found["/docs/"]["detail"] is None


def test_a_seed_that_leads_to_another_host_says_how_to_go_there(site, tmp_path):
    resolve = {"example.org": site.resolve["site.test"]}
    seeds = (f"http://example.org:{site.port}/",)
    for target, way in (
        ("www.example.org", "name www.example.org in crawl.hosts, or set crawl.same_site, for all of example.org"),
        ("example.net", "name example.net in crawl.hosts."),
    ):
        site.pages["/"] = Answer(b"", 301, {"Location": f"http://{target}:{site.port}/"})
        with pytest.raises(PermanentError, match=rf"\(1 redirect_other_host\).*example\.org.* {re.escape(way)}"):
            run(site, tmp_path / target, seeds=seeds, resolve=resolve)
        site.pages["/"] = Answer(f"<meta http-equiv=refresh content='0; url=http://{target}:{site.port}/'>".encode())
        found = run(site, tmp_path / f"refresh to {target}", seeds=seeds, resolve=resolve)
        row = found.pop(seeds[0])
        assert reasons(found) == {f"http://{target}:{site.port}/": "other_host"}
        assert way.rstrip(".") in row["detail"]
    site.pages["/"] = Answer(b"", 301, {"Location": "http://example.net/"})
    with pytest.raises(PermanentError, match=r"name example\.net in crawl\.hosts\.$"):  # same_site is set already
        run(site, tmp_path / "c", seeds=seeds, resolve=resolve, same_site=True)


def test_a_refresh_is_followed_again_where_the_page_has_not_changed(site, tmp_path):
    def front(headers: dict[str, str]) -> Answer:
        if headers.get("if-none-match") == '"1"':
            return Answer(b"", 304)
        return Answer(b"<title>go on</title>", headers={"Refresh": "0; url=/docs/", "ETag": '"1"'})

    site.pages["/"] = front
    site.page("/docs/")
    lake = Lake(tmp_path)
    refresh(site, lake)
    found = pages(site, refresh(site, lake).path)
    assert reasons(found) == {"/": "unchanged", "/docs/": "unchanged"}
    assert found["/"]["detail"] == f"goes on to {site.url}/docs/"


def test_what_was_odd_about_an_answer_is_in_its_row_and_strictness_refuses_it(site, tmp_path):
    page = b"<!doctype html><title>A mill</title><p>It stands by the river."
    site.pages["/"] = Answer(b"<a href=1><a href=2><a href=3><a href=4>")
    site.pages["/1"] = Answer(page, headers={"Content-Encoding": "none"})
    site.pages["/2"] = Answer(page, 203)
    site.pages["/3"] = Answer(page, headers={"Content-Type": "text/html, text/html"})
    site.pages["/4"] = Answer(page, headers={"Server : mill": "x"})
    found = run(site, tmp_path / "a")
    assert set(reasons(found).values()) == {"fetched"}
    assert found["/1"]["detail"] == "read though odd: Content-Encoding 'none' names no packing"
    assert found["/4"]["detail"] == "read though odd: a space before a header's colon"
    assert (found["/2"]["status"], found["/3"]["mime"]) == (203, "text/html")
    assert reasons(run(site, tmp_path / "b", strict_http=True)) == {
        "/": "fetched",
        "/1": "broken_encoding",
        "/2": "http_203",
        "/3": "mime",
        "/4": "bad_http",
    }
