"""URLs that a crawl met and did not visit: each has a row with its reason, and what is too much is counted exactly."""

from __future__ import annotations

from collections import Counter

import pyarrow.parquet as pq
import pytest

from tasks.corpus.crawl import CrawlConfig, crawl, refused
from tasks.stage import PermanentError, local_output
from tests.tasks.corpus.crawl.conftest import Answer
from tests.tasks.corpus.crawl.test_stage import reasons, run


def test_each_link_that_is_not_visited_has_a_reason(site, tmp_path):
    site.page(
        "/", "/a", "/skip/1", "http://elsewhere.test/x", "/x/y/x/y/x/y", "/a?PHPSESSID=0123456789", "mailto:a@b.test",
        "/talk?session_id=1", "/talk?session_id=2",
    )  # fmt: skip
    site.pages["/a"] = Answer(b'<a rel="nofollow" href="/later">x</a><a href="/b">b</a><a href="/deep/1">1</a>')
    site.pages["/b"] = Answer(
        b'<meta name=robots content=nofollow><a href="/n">n</a><a href="http://elsewhere.test/x">x'
    )
    for path in ("/talk?session_id=1", "/talk?session_id=2", "/deep/1"):
        site.page(path, "/deep/2")
    found = run(site, tmp_path, exclude=("/skip/",), max_depth=2)
    assert reasons(found) == {
        "/": "fetched", "/a": "fetched", "/b": "fetched", "/deep/1": "fetched", "/talk?session_id=1": "fetched",
        "/talk?session_id=2": "fetched", "/skip/1": "excluded", "http://elsewhere.test/x": "other_host",
        "/x/y/x/y/x/y": "trap", "/later": "nofollow", "/n": "too_deep", "/a?PHPSESSID=0123456789": "same_page",
        "/deep/2": "http_404",
    }  # fmt: skip
    assert found["/skip/1"]["detail"] == f"linked from {site.url}/"
    assert found["/a?PHPSESSID=0123456789"]["detail"] == f"the same page as {site.url}/a"
    assert found["http://elsewhere.test/x"]["source"] == "elsewhere.test"


def test_links_that_are_not_followed_and_sitemaps_beyond_the_limit(site, tmp_path):
    maps = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in ("/m1.xml", "/m2.xml", "http://elsewhere.test/m"))
    site.pages["/sitemap.xml"] = Answer(f"<sitemapindex>{maps}</sitemapindex>".encode())
    site.pages["/m1.xml"] = Answer(b"<urlset></urlset>")
    site.page("/", "/a")
    found = reasons(run(site, tmp_path, follow_links=False, sitemaps=True, max_sitemaps=2))
    assert found["/a"] == "not_followed"
    assert Counter(found.values())["sitemap_limit"] == 1
    assert found["http://elsewhere.test/m"] == "other_host"


def test_what_is_too_much_is_counted_by_kind_and_the_ledger_adds_up(site, tmp_path, monkeypatch):
    monkeypatch.setattr(refused, "MAX_ROWS", 10)
    monkeypatch.setattr(refused.Refused.rows, "__defaults__", (10,))
    monkeypatch.setattr(refused.Refused.rest, "__defaults__", (10,))
    site.page("/", *[f"http://elsewhere.test/{n}" for n in range(25)], *[f"/skip/{n}" for n in range(10)], "/a")
    site.page("/a", *[f"http://elsewhere.test/{n}" for n in range(20, 40)])
    rows = []
    for folder in ("a", "b"):
        out = local_output(tmp_path / folder)
        crawl(CrawlConfig(seeds=(f"{site.url}/",), resolve=site.resolve, delay=0.0, exclude=("/skip/",)), out)
        assert out.counts["urls"] == 2 + 10 + 10
        assert out.counts["urls_without_row"] == 30
        assert out.accounts is not None
        assert not list(out.accounts.problems())
        assert {name: amount.documents for name, amount in out.accounts.removed.items()} == {
            "other_host": 40,
            "excluded": 10,
        }
        rows.append(pq.read_table(tmp_path / folder / "pages.parquet").column("url").to_pylist())
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("settings", "answer", "said"),
    [
        ({}, Answer(b"<p>x", headers={"X-Robots-Tag": "noindex"}), "(1 noindex): {}/: the page asks not to be taken"),
        (
            {},
            Answer(b"<p>x", headers={"Content-Usage": "train-ai=n"}),
            "(1 content_usage): {}/: the site says that nobody",
        ),
        ({}, Answer(b"", headers={"Content-Type": "image/png"}), "(1 mime): {}/: its type is none of crawl.mime"),
        ({}, Answer(b"", 404), "(1 http_404): {}/: there is no such page"),
        ({}, Answer(b"", 302, {"Location": "http://other.test/"}), "(1 redirect_other_host): {}/: http://other.test/"),
        ({"page_seconds": 0.2, "tries": 1}, Answer(b"", delay=0.5), "(1 timeout): {}/: no complete answer in 0.2 s"),
    ],
)
def test_a_crawl_without_a_page_says_the_reason_that_it_found(site, tmp_path, settings, answer, said):
    site.pages["/"] = answer
    with pytest.raises(PermanentError) as caught:
        run(site, tmp_path, **settings)
    assert said.format(site.url) in str(caught.value)


def test_links_that_were_not_followed_do_not_explain_why_there_is_no_page(site, tmp_path):
    site.page("/", *[f"http://elsewhere.test/{n}" for n in range(9)], **{"X-Robots-Tag": "noindex"})
    with pytest.raises(PermanentError, match=r"the page asks not to be taken \(crawl\.honour\)\.$"):
        run(site, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rows.csv", "id,content\n1,x\n", "rows.csv#0: no column 'text' among id, content (crawl.fields.text)."),
        ("rows.jsonl", '{"id": 1, "content": "x"}\n', "rows.jsonl#0: no field 'text' among id, content"),
    ],
)
def test_rows_without_the_column_of_text_are_the_message(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(PermanentError) as caught:
        crawl(CrawlConfig(paths=(str(tmp_path / name),)), local_output(tmp_path / "out"))
    assert said in str(caught.value)
    assert "look at" not in str(caught.value)
