"""What pages ask of crawlers: robots directives for us and for others, and TDMRep in its three places."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl.robots_meta import parse_tdmrep, reservation, robots_directives


def is_reserved(meta, header, rules, path) -> bool:
    said = reservation(meta, header, rules, path)
    return said is not None and said[0]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["noindex, nofollow"], {"noindex", "nofollow"}),
        (["NoIndex"], {"noindex"}),
        (["noindex nofollow"], {"noindex", "nofollow"}),
        (["none"], {"noindex", "nofollow"}),
        (["all"], set()),
        (["noarchive", "noai, noimageai"], {"noarchive", "noai"}),
        (["noimageai"], set()),
        (["otherbot: noindex, nofollow"], set()),
        (["textmill: noindex, nofollow"], {"noindex", "nofollow"}),
        (["otherbot: noindex", "nofollow"], {"nofollow"}),
        (["otherbot: noindex, TextMill: noai"], {"noai"}),
        (["max-snippet: 20, noindex"], {"noindex"}),
        (["unavailable_after: Wed, 25 Jun 2025 15:00:00 PST, noindex"], {"noindex"}),
        (["noindexed, xnofollow"], set()),
        ([""], set()),
    ],
)
def test_directives(said, found):
    assert robots_directives(said, "textmill") == found


RULES = json.dumps(
    [
        {"location": "/open/*", "tdm-reservation": 0},
        {"location": "*.pdf$", "tdm-reservation": 1},
        {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://h/policy.json"},
    ]
).encode()


@pytest.mark.parametrize(
    ("meta", "header", "path", "reserved"),
    [
        (None, None, "/page", True),
        (None, None, "/open/page", False),
        (None, None, "/a.pdf", True),
        (None, "0", "/page", False),
        ("1", "0", "/open/page", True),
        ("0", "1", "/page", False),
        (None, " 1 ", "/open/x", True),
        ("yes", None, "/open/x", False),
    ],
)
def test_what_is_nearest_to_the_page_counts(meta, header, path, reserved):
    assert is_reserved(meta, header, parse_tdmrep(RULES), path) is reserved


def test_without_a_word_nothing_is_reserved():
    assert not is_reserved(None, None, [], "/page")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[1, null, {}]", b'[{"location": 5, "tdm-reservation": 1}]', b'{"location": "/"}', b"[" * 100_000,
     b'[{"location": "/", "tdm-reservation": "maybe"}]', b'[{"location": "/", "tdm-reservation": [1]}]', b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_tdmrep_has_no_rules(body):
    assert parse_tdmrep(body) == []


def test_a_single_rule_without_a_list_is_understood():
    assert is_reserved(None, None, parse_tdmrep(b'{"location": "/", "tdm-reservation": "1"}'), "/x")


def test_patterns_of_a_hostile_site_are_fast():
    body = json.dumps([{"location": "/" + "*a" * 500 + "$", "tdm-reservation": 1}] * 3).encode()
    started = time.process_time()
    is_reserved(None, None, parse_tdmrep(body), "/" + "a" * 1900)
    assert time.process_time() - started < 5


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.recursive(
        st.none() | st.text(max_size=9) | st.integers(-1, 2) | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["location", "tdm-reservation"]), inner)
        ),
    )
)
def test_any_json_has_rules_or_none(value):
    for rule in parse_tdmrep(json.dumps(value).encode()):
        rule.location.match("/path")
