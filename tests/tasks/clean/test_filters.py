"""The filters: each one's reason, its value and its limit."""

from __future__ import annotations

import pytest

from tasks.clean.config import FilterConfig
from tasks.clean.filters import judge

CONFIG = FilterConfig()
GOOD = " ".join(
    f"This is sentence number {word} of a text that people can read."
    for word in ("one", "two", "three", "four", "five", "six")
)


def test_readable_text_is_kept():
    assert judge(GOOD, "A title", CONFIG) is None


def test_text_without_spaces_is_kept():
    text = (
        "機械学習は人工知能の一分野である。データから規則を見つけ出し、予測や判断に用いる。画像や言葉を扱う方法も多い。"
    )
    assert judge(text, "", CONFIG) is None


@pytest.mark.parametrize(
    ("text", "title", "reason"),
    [
        ("Too short.", "", "too_short"),
        ("word " * 100_001, "", "too_long"),
        (GOOD, "404 Not Found", "error_page"),
        (GOOD, "Just a moment...", "error_page"),
        (GOOD + "\ufffd" * 20, "", "not_text"),
        ("ab cd ef " * 40, "", "short_words"),
        ("internationalisation " * 60, "", "long_words"),
        ("year 1999 2000 2001 2002 2003 2004 " * 20, "", "few_letters"),
        (GOOD + " ###" * 10, "", "symbols"),
        (GOOD + " …" * 20, "", "symbols"),
        ("\n".join(f"- entry number {n} of this list" for n in range(30)), "", "bullet_lines"),
        ("\n".join(["The very same line of words again."] * 20), "", "repeated_lines"),
        (
            "\n".join([*(f"line {n} unlike" for n in range(30)), *["a much longer line that comes back " * 4] * 5]),
            "",
            "repeated_line_characters",
        ),
    ],
)
def test_reasons(text, title, reason):
    verdict = judge(text, title, CONFIG)
    assert verdict is not None
    assert verdict.reason == reason
    assert verdict.value != verdict.threshold


def test_every_limit_can_be_lifted():
    free = FilterConfig(
        min_words=0,
        max_words=10**9,
        min_word_length=0,
        max_word_length=10**9,
        max_symbol_ratio=10**9,
        max_bullet_lines=1,
        max_ellipsis_lines=1,
        min_letter_words=0,
        max_repeated_lines=1,
        max_repeated_line_characters=1,
        max_repeated_paragraphs=1,
        max_unprintable=1,
        error_titles=(),
    )
    for text in ("", "\ufffd", "# # #", "a\na\na", "- x...\n" * 5):
        assert judge(text, "404", free) is None


def test_the_verdict_tells_what_was_measured():
    verdict = judge("one two three", "", CONFIG)
    assert verdict is not None
    assert (verdict.value, verdict.threshold) == (3, 50)
