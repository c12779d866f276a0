"""All filters together: their names, the reasons they give, and that each can be switched off.

Also covers: tasks/corpus/clean/filter_config.py
Also covers: tasks/corpus/clean/filters/base.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import FILTERS, C4Config, FilterConfig
from tasks.corpus.clean.filters import CLASSES, Chain, Removal

SENTENCES = (
    "The quick brown fox jumps over a lazy dog that has seen it all before.",
    "Every spring the river carries snow from the mountains down to the sea.",
    "Bakers rise long before their customers and go to bed when others have supper.",
    "A letter that was posted in winter may well be answered with the first swallows.",
    "Nobody knows who planted these apple trees, but children of two villages climb them.",
)
GOOD = "\n".join(SENTENCES)
ALL = FilterConfig(use=FILTERS)


def judge(text: str, title: str = "", config: FilterConfig = ALL, url: str | None = None) -> Removal | None:
    return Chain(config, Path("nowhere")).judge(Analysis(text, title=title, url=url)).removal


def test_readable_text_passes_all_filters():
    assert judge(GOOD, "A title", url="http://example.org/a") is None


@pytest.mark.parametrize(
    ("text", "title", "reason", "rule"),
    [
        ("", "", "length", "min_characters"),
        ("Too short.", "", "gopher_quality", "min_words"),
        (GOOD, "404 Not Found", "error_page", "title"),
        (GOOD, "Just a moment...", "error_page", "title"),
        (GOOD + "\ufffd" * 20, "", "not_text", "max_unprintable"),
        ("\n".join([*SENTENCES, *["The very same line of words again."] * 20]), "", "gopher_repetition", "max_lines"),
        (GOOD + "\nint main() { return 0; }.", "", "c4", "curly_bracket"),
        ("\n".join(SENTENCES[:4]) + "\n" + GOOD.replace(".", ""), "", "c4", "min_sentences"),
    ],
)
def test_reasons(text, title, reason, rule):
    config = FilterConfig(use=("c4",)) if reason == "c4" else ALL
    removal = judge(text, title, config)
    assert removal is not None
    assert removal.reason == reason
    assert removal.detail is not None
    assert removal.detail.startswith(rule)
    assert removal.value != removal.threshold


def test_every_name_is_a_class_with_a_paper_or_a_reason_in_its_docstring():
    assert tuple(CLASSES) == FILTERS
    for name, filter_class in CLASSES.items():
        assert filter_class.name == name
        assert filter_class.__doc__
    for name in ("gopher_quality", "gopher_repetition", "c4", "fineweb", "bad_words", "url_list", "language"):
        assert "20" in (CLASSES[name].__doc__ or ""), f"{name} names no paper"


def test_what_is_not_asked_for_removes_nothing():
    for text in ("", "\ufffd", "# # #", "a\na\na", "- x...\n" * 5, "{" * 100):
        assert judge(text, "404", FilterConfig(use=())) is None


def test_unknown_filters_are_told():
    with pytest.raises(ValueError, match="gopher_qualty"):
        FilterConfig(use=("gopher_qualty",))


def test_a_filter_that_takes_lines_off_changes_what_the_next_one_sees():
    config = FilterConfig(use=("c4",), c4=C4Config(min_sentences=1))
    judged = Chain(config, Path("nowhere")).judge(Analysis(GOOD + "\nHome | About | Contact"))
    assert judged.removal is None
    assert judged.page.text == GOOD


@settings(max_examples=150, derandomize=True)
@given(st.text(max_size=300) | st.text("aA .!?。\n-•#{}…\u0e01\u4e2d\U0001f600\x00\ufffd", max_size=300))
def test_no_text_brings_the_filters_down(text):
    config = FilterConfig(use=FILTERS, bad_words={"words": ("aa", "中中")}, language={"allowed": ("en",)})
    removal = judge(text, text[:20], config, url=text)
    assert removal is None or (removal.reason in FILTERS and removal.value == removal.value)
