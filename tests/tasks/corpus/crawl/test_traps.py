"""Traps: URLs that give themselves away, pages that repeat themselves, and real pages that do neither."""

from __future__ import annotations

import calendar
import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl.traps import FIRST_WINDOW, WINDOW, Pattern, is_trap, pattern_of


@pytest.mark.parametrize(
    "path",
    [
        "a/b/a/b/a/b",
        "docs/en/docs/en/docs/en/page",
        "x/a/b/c/a/b/c/a/b/c/y",
        "img/img/img/img",
        "tag/x/tag/y/tag/z/tag",
        "title/1/title/1/title/1",
        "/".join(map(str, range(30))),
    ],
)
def test_traps_are_seen(path):
    assert is_trap(f"http://h/{path}")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "2026/01/01/01/post",
        "2001/01/01/01/",
        "a/b/a/b",
        "en/docs/en/api/en",
        "title/1/chapter/1/article/1/section/1",
        "matrix/1/1/1/1",
        "tile/0/1/0/1/0/1",
        "events/2031/05/",
        "events/1914/07/28",
        "calendar/1945/05/",
        "year/2050/01/forecast",
        "timeline/month?year=1815",
        "archive/1848/03/18/barricades",
        "2019/03/12/title",
        "model-2100/specs",
    ],
)
def test_pages_are_no_traps(path):
    assert not is_trap(f"http://h/{path}")


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "1", ""]), max_size=30))
def test_any_path_is_judged(segments):
    assert is_trap("http://h/" + "/".join(segments)) in (True, False)


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


def month(number: int) -> str:
    return f"<h1>{calendar.month_name[1 + number % 12]} {2026 + number // 12}</h1><p>{' '.join(map(str, range(31)))}"


def test_a_calendar_of_dates_is_looked_at_from_its_first_page_on():
    pages = (month(number) for number in range(1000))
    assert visits_until_trapped(pages, lambda: Pattern.of("http://h/events/2026/05/")) <= WINDOW


def test_an_archive_of_dates_is_no_calendar():
    pages = (f"{month(number)}<p>{' '.join(words(number, 9))}" for number in range(2000))
    assert visits_until_trapped(pages, lambda: Pattern.of("http://h/events/1914/07/28")) is None


def test_tables_of_different_numbers_are_no_repeats():
    chance = random.Random(2)
    for count in (8, 400):
        pages = (
            f"<h1>Station</h1>{''.join(f'<td>{chance.random() * 90:.2f}' for _ in range(count))}" for _ in range(300)
        )
        assert visits_until_trapped(pages) is None
    table = "".join(f"<td>{number}" for number in range(1000))
    assert visits_until_trapped(f"<h1>Results {n} to {n + 9}</h1>{table}" for n in range(1000)) is not None


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
