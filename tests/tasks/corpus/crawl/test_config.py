"""The crawl's config: settings that cannot work are refused with the reason."""

from __future__ import annotations

import pytest

from tasks.corpus.crawl import CrawlConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": ("ftp://x/",)}, "is not an http"),
        ({"seeds": ("http://u:p@x/",)}, "without credentials"),
        ({"exclude": ("(",)}, "is not a regular expression"),
        ({"resolve": {"h": ("localhost:80",)}}, "is not an ip:port"),
        ({"server": "apache"}, "pydoc"),
    ],
)
def test_wrong_settings_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        CrawlConfig(**settings)
