"""Filters on the kind of page: too short or too long, an error page, binary data, in an unwanted language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import ErrorPageConfig, LanguageConfig, LengthConfig, NotTextConfig
from tasks.corpus.clean.filters.base import Filter, Removal

_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff]+")  # controls, U+FFFD, private use


class Length(Filter):
    """Removes too little or too much text, in characters; gopher_quality limits the number of words."""

    name: ClassVar[str] = "length"
    config: LengthConfig

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check the number of characters against its limits."""
        yield from self.below("min_characters", len(page.text), self.config.min_characters)
        yield from self.above("max_characters", len(page.text), self.config.max_characters)


class ErrorPage(Filter):
    """Removes pages that report an error although their status was 200 ("soft 404": Bar-Yossef et al. 2004, WWW)."""

    name: ClassVar[str] = "error_page"
    config: ErrorPageConfig

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check the title against each pattern."""
        for pattern in self.config.titles:
            if re.search(pattern, page.title):
                yield Removal(self.name, 1.0, 0.0, f"title {page.title[:80]!r} matches {pattern}")


class NotText(Filter):
    """Removes bytes that decode but are not text: controls, replacement characters, private use."""

    name: ClassVar[str] = "not_text"
    config: NotTextConfig

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check the share of characters that are not text."""
        strange = sum(map(len, _NO_TEXT.findall(page.text)))
        yield from self.above("max_unprintable", strange / max(1, len(page.text)), self.config.max_unprintable)


class Language(Filter):
    """Keeps wanted languages, as in FineWeb (Penedo et al. 2024, arXiv:2406.17557, § 3.3): English from 0.65.

    The value is the share of the text in all allowed languages together, so a page that mixes two of them is kept.
    """

    name: ClassVar[str] = "language"
    config: LanguageConfig

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check the share of the text that is in one of the allowed languages."""
        if self.config.allowed:
            share, code = page.language.share(self.config.allowed), page.language.code
            yield from self.below(f"min_score: {code or 'no language'} found", share, self.config.min_score)
