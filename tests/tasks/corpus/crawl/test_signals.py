"""Content-Signal and Content-Usage in robots.txt and in headers, line by line."""

from __future__ import annotations

import time

import pytest

from tasks.corpus.crawl.rights import combined
from tasks.corpus.crawl.robots import Rules
from tasks.corpus.crawl.signals import said_in_headers


def signals(robots: str, path: str = "/a") -> str:
    """What the lines of a robots.txt come to for textmill on a path, licences aside."""
    found = Rules.parse(200, robots.encode(), b"", "textmill").signals
    return combined(one.train for one in found.said(path, "robots.txt"))


@pytest.mark.parametrize(
    ("robots", "path", "train"),
    [
        ("", "/a", "unknown"),
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /", "/a", "deny"),
        ("user-agent:*\ncontent-signal:search=yes,ai-train=no", "/a", "deny"),
        ("User-agent: *\nCONTENT-SIGNAL : Search=Yes , AI-Train = No # ours", "/a", "deny"),
        ("Content-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/a", "deny"),
        ("Content-Signal: ai-train=no\n\nUser-agent: textmill\nAllow: /", "/a", "deny"),
        ("User-agent: *\nContent-Signal: ai-train=yes", "/a", "allow"),
        ("User-agent: *\nContent-Signal: search=yes, ai-input=no", "/a", "unknown"),
        ("User-agent: *\nContent-Signal: ai-train=maybe", "/a", "unknown"),
        ("User-agent: *\nContent-Signal: ai-train=yes\nContent-Signal: ai-train=no", "/a", "deny"),
        ("User-agent: otherbot\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/a", "unknown"),
        ("User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: TextMill/2\nContent-Signal: ai-train=yes",
         "/a", "allow"),
        ("User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: textmill\nAllow: /", "/a", "unknown"),
        ("User-agent: textmill\nUser-agent: other\nContent-Signal: ai-train=no", "/a", "deny"),
        ("User-agent: textmill\nAllow: /\nUser-agent: b\nAllow: /\nUser-agent: textmill\nContent-Signal: ai-train=no",
         "/a", "deny"),
        # by itself between blank lines it belongs to nobody, whatever group stands before it
        ("User-agent: GPTBot\nDisallow: /\n\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/a", "deny"),
        ("User-agent: GPTBot\nDisallow: /\n\nContent-Signal: ai-train=yes\n\nUser-agent: *\nAllow: /", "/a", "unknown"),
        ("User-agent: GPTBot\n\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", "/a", "unknown"),
        ("User-agent: *\rContent-Signal: ai-train=no\r", "/a", "deny"),
        ("\ufeffUser-agent: *\nContent-Usage: train-ai=n", "/a", "deny"),
        ("Content-Usage: train-ai=n\nUser-agent: *\nAllow: /", "/a", "deny"),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y", "/open/x", "allow"),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y", "/opening", "deny"),
        ("User-agent: *\nContent-Usage: train-ai=y\nContent-Usage: train-ai=n", "/a", "deny"),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open/ search=y", "/open/x", "deny"),
        ("User-agent: *\nContent-Usage: /*.pdf$ train-ai=n", "/x.pdf", "deny"),
        ("User-agent: *\nContent-Usage: /*.pdf$ train-ai=n", "/x.pdf?a", "unknown"),
        ("User-agent: *\nContent-Usage: /%7Efoo train-ai=n", "/~foo/x", "deny"),
        ("User-agent: *\nContent-Usage: /ü train-ai=n", "/%C3%BC", "deny"),
        ("User-agent: *\nContent-Usage: train-ai=n, train-ai=y", "/a", "allow"),
        ("User-agent: *\nContent-Usage: train-ai=n;x=1;y", "/a", "deny"),
        ("User-agent: *\nContent-Usage: search=(a \"b\" 1.5);q, x=:aGk=:, z=?1, train-ai=n", "/a", "deny"),
        ("User-agent: *\nContent-Usage: train-ai=\"n\"", "/a", "unknown"),
        ("User-agent: *\nContent-Usage: train-ai", "/a", "unknown"),
        ("User-agent: *\nContent-Usage: train-ai=N", "/a", "unknown"),
        ("User-agent: *\nContent-Usage: Train-AI=n", "/a", "unknown"),
        ("User-agent: *\nContent-Usage: train-ai=n,", "/a", "unknown"),
        ("User-agent: *\nContent-Usage: train-ai=n search=y", "/a", "unknown"),
        ("User-agent: *\nContent-Usage: genai=n", "/a", "unknown"),
        ("User-agent: *\nContent-Usage: train-ai=n # thanks", "/a", "deny"),
    ],
)  # fmt: skip
def test_lines_of_robots(robots, path, train):
    assert signals(robots, path) == train


def test_headers_of_one_name_are_one_list():
    assert [one.train for one in said_in_headers([], ["train-ai=n", "train-ai=y"])] == ["allow"]
    assert [one.train for one in said_in_headers(["search=yes", "ai-train=no"], [])] == ["deny"]
    assert [one.train for one in said_in_headers(["ai-train=yes"], ["train-ai=n"])] == ["allow", "deny"]
    assert said_in_headers([], []) == []


def test_hostile_lines_are_fast():
    started = time.process_time()
    for line in (
        "train-ai=" + "(a " * 20_000,
        "a=n;" * 20_000,
        "a=n," * 20_000,
        'a="' + '\\"' * 20_000,
        "/*a" * 5000 + " train-ai=n",
    ):
        signals(f"User-agent: *\nContent-Usage: {line}\n", "/" + "a" * 1900)
    signals("User-agent: *\n" + "Content-Usage: /*a*b*c train-ai=n\n" * 30_000, "/" + "a" * 1900)
    assert time.process_time() - started < 10
