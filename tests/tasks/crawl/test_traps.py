"""Traps: URLs that give themselves away, pages that repeat themselves, and real pages that do neither."""

from __future__ import annotations

import calendar
import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.crawl.traps import FIRST_WINDOW, WINDOW, Pattern, is_trap, pattern_of


@pytest.mark.parametrize(
    "path",
    [
        "a/b/a/b/a/b",
        "docs/en/docs/en/docs/en/page",
        "x/a/b/c/a/b/c/a/b/c/y",
        "img/img/img/img",
        "/".join(map(str, range(30))),
        "events/2031/05/",
        "calendar/1923-07-01",
        "cal?month=2207-11",
        "agenda.php?view=day&date=20400101",
        "calendar?year=2055&m=1",
    ],
)
def test_traps_are_seen(path):
    assert is_trap(f"http://h/{path}", 2026)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "2026/01/01/01/post",
        "a/b/a/b",
        "en/docs/en/api/en",
        "events/2027/05/",
        "calendar/1999-07",
        "archive/1848/03/18/barricades",
        "history/1066/10/hastings",
        "model-2100/specs",
        "products/2900-12-volt",
        "report?year=1913",
        "blog/2024/12/2031-in-review",
    ],
)
def test_pages_are_no_traps(path):
    assert not is_trap(f"http://h/{path}", 2026)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "1", ""]), max_size=30))
def test_any_path_is_judged(segments):
    assert is_trap("http://h/" + "/".join(segments), 2026) in (True, False)


def test_patterns_blot_out_what_counts_up():
    assert pattern_of("http://h/p/17?a=x&b=2") == pattern_of("http://h/p/42?a=y&b=3")
    assert pattern_of("http://h/s/0123456789abcdef0/x") == "http://h/s/#/x"
    assert pattern_of("http://h2/p/1") != pattern_of("http://h1/p/1")
    assert pattern_of("http://h/about") == "http://h/about"


def visits_until_trapped(pages, state=Pattern) -> int | None:
    pattern = state()
    for number, page in enumerate(pages, 1):
        if pattern.add(page.encode()):
            return number
        pattern = Pattern.from_dict(json.loads(json.dumps(pattern.to_dict())))  # as after a kill
    return None


def test_a_calendar_without_end_is_cut_soon():
    months = list(calendar.month_name)[1:]
    pages = (
        f"<html><script>token = '{random.Random(n).randbytes(9).hex()}abc{chr(97 + n % 26) * 9}'</script>"
        f"<h1>{months[n % 12]} {2026 + n // 12}</h1>"
        f"<a href='/cal/{n}'>next</a><table>{'<td>'.join(map(str, range(31)))}</table></html>"
        for n in range(1000)
    )
    assert visits_until_trapped(pages) <= 2 * (FIRST_WINDOW + WINDOW)


def test_five_articles_under_a_thousand_session_ids_are_cut():
    articles = [f"<p>{' '.join(words(seed, 200))}</p>" for seed in range(5)]
    assert visits_until_trapped(articles[n % 5] + f"<a href='?s={n}'>" for n in range(1000)) <= FIRST_WINDOW + WINDOW


def test_pages_that_say_something_are_never_cut():
    assert visits_until_trapped(f"<p>{' '.join(words(seed, 40))}</p>" for seed in range(2000)) is None


def test_looking_at_lively_pages_costs_little():
    pattern, looked = Pattern(), 0
    for seed in range(3000):
        before = pattern.seen
        pattern.add(f"<p>{' '.join(words(seed, 40))}</p>".encode())
        looked += pattern.seen != before
    assert looked < 200
    assert len(json.dumps(pattern.to_dict())) < 20_000


def words(seed: int, number: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(number)]


def test_hostile_pages_are_fast():
    pattern = Pattern(pages=FIRST_WINDOW)
    started = time.process_time()
    for body in (b"<" * 300_000, b"<script" * 60_000, b"<script>x</" * 40_000, b"a" * 300_000, b"&#" * 150_000):
        pattern.add(body)
    assert time.process_time() - started < 10
