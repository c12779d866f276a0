"""The user's lists: bad words in any script, hosts and URLs."""

from __future__ import annotations

import pytest

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import UrlListConfig, WordListConfig
from tasks.corpus.clean.filters.lists import BadWords, UrlList
from tasks.stage import PermanentError


def test_bad_words_from_config_and_file(tmp_path):
    (tmp_path / "words.txt").write_text("# a comment\nRude Phrase\n\n坏话\n", "utf-8")
    bad = BadWords(WordListConfig(words=("ass",), files=(str(tmp_path / "*.txt"),)))
    for text, entry in (("You ASS!", "ass"), ("a rude  phrase", "Rude Phrase"), ("他说坏话了", "坏话")):
        removal = next(bad.violations(Analysis(text)))
        assert (removal.reason, removal.value, removal.threshold, removal.detail) == ("bad_words", 1, 1, entry)
    assert list(bad.violations(Analysis("a first-class class of classics"))) == []
    twice = BadWords(WordListConfig(words=("ass",), min_count=2))
    assert list(twice.violations(Analysis("one ass"))) == []
    assert next(twice.violations(Analysis("ass ass"))).value == 2


def test_a_missing_list_stops_the_stage_with_a_sentence(tmp_path):
    with pytest.raises(PermanentError, match=r"clean\.filters\.bad_words\.files names '.*none\.txt'"):
        BadWords(WordListConfig(files=(str(tmp_path / "none.txt"),)))


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://spam.example/x", "host spam.example"),
        ("https://www.deep.SPAM.example/", "host spam.example"),
        ("http://notspam.example/", None),
        ("http://good.example/bad/page?x=1", "URL good.example/bad"),
        ("http://good.example/badly", None),
        ("http://good.example/casino-royale", "pattern casino"),
        ("http://[broken", None),
        (None, None),
    ],
)
def test_urls(url, detail, tmp_path):
    (tmp_path / "domains").write_text("spam.example\nhttp://good.example/bad/\n")
    filter_ = UrlList(UrlListConfig(files=(str(tmp_path / "domains"),), patterns=("casino",)))
    found = next(filter_.violations(Analysis("text", url=url)), None)
    assert (found.detail if found else None) == detail
