"""Scope: hosts, whole sites by the public suffix list, depth and patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.scope import Scope, registered_domain


def scope(**settings) -> Scope:
    return Scope(CrawlConfig(**{"seeds": ("https://www.example.co.uk/docs/",), **settings}))


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("docs.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("me.github.io", "me.github.io"),
        ("co.uk", None),
        ("localhost", None),
        ("127.0.0.1", None),
        ("::1", None),
        ("xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
        ("www.city.kawasaki.jp", "city.kawasaki.jp"),
        ("a.b.c.kobe.jp", "b.c.kobe.jp"),
    ],
)
def test_who_registered_a_host(host, domain):
    assert registered_domain(host) == domain


def test_seeds_name_the_hosts_and_on_request_their_sites():
    assert scope().refusal("https://docs.example.co.uk/", 0) == "other_host"
    same = scope(same_site=True)
    assert same.refusal("https://docs.example.co.uk/", 0) is None
    assert same.refusal("https://example.co.uk/", 0) is None
    assert same.refusal("https://other.co.uk/", 0) == "other_host"
    assert same.refusal("https://notexample.co.uk/", 0) == "other_host"


def test_hosts_and_all_below_them():
    found = scope(hosts=("*.example.org", "one.test"), same_site=True)
    for host, reason in [
        ("example.org", None), ("a.b.example.org", None), ("one.test", None), ("two.one.test", "other_host"),
        ("badexample.org", "other_host"), ("www.example.co.uk", "other_host"),
    ]:  # fmt: skip
        assert found.refusal(f"http://{host}/", 0) == reason


def test_depth_patterns_and_traps():
    found = scope(include=("/docs/",), exclude=(r"\.pdf$", "draft"), max_depth=3)
    base = "https://www.example.co.uk"
    assert found.refusal(f"{base}/docs/a", 3) is None
    assert found.refusal(f"{base}/docs/a", 4) == "too_deep"
    assert found.refusal(f"{base}/shop", 1) == "not_included"
    assert found.refusal(f"{base}/docs/a.pdf", 1) == "excluded"
    assert found.refusal(f"{base}/docs/x/y/x/y/x/y", 1) == "trap"


@pytest.mark.shared
def test_every_rule_of_the_public_suffix_list(shared_data: Path):
    text = (shared_data / "10_warc_robots" / "publicsuffix__list" / "public_suffix_list.dat").read_text()
    rules = [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("//")]
    assert len(rules) > 9000
    wrong = []
    for rule in rules:
        name = rule.lstrip("!*.").encode("idna").decode()
        if rule.startswith("!"):
            right = registered_domain(f"www.{name}") == name
        elif rule.startswith("*."):
            right = registered_domain(f"a.b.{name}") == f"a.b.{name}" or f"!b.{rule[2:]}" in rules
        else:
            right = registered_domain(f"www.example-9.{name}") == f"example-9.{name}" or f"*.{rule}" in rules
        if not right:
            wrong.append(rule)
    # the list that is installed and the one of the test data are some weeks apart
    assert len(wrong) < 0.01 * len(rules), wrong[:20]
