"""The config of clean: extraction, repair, and the filters with their published thresholds."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from tasks.config import Execution, StageConfig
from tasks.patterns import Regex


class FilterConfig(StageConfig):
    """Limits of the quality filters.

    Gopher: Rae et al. 2021, arXiv:2112.11446, table A1 and § A.1.1. Its English stop-word rule is left out, as
    textmill assumes no language; words are those of data_lake.text_units.
    """

    min_words: int = Field(50, ge=0, description="fewer words than this: too_short (Gopher: 50)")
    max_words: int = Field(100_000, ge=1, description="more words than this: too_long (Gopher: 100,000)")
    min_word_length: float = Field(
        3.0, ge=0, description="mean characters per word, at least (Gopher: 3); not asked where scripts have no spaces"
    )
    max_word_length: float = Field(10.0, ge=1, description="mean characters per word, at most (Gopher: 10)")
    max_symbol_ratio: float = Field(0.1, ge=0, description="hash signs or ellipses per word, at most (Gopher: 0.1)")
    max_bullet_lines: float = Field(0.9, ge=0, le=1, description="share of lines beginning with a bullet (Gopher: 0.9)")
    max_ellipsis_lines: float = Field(0.3, ge=0, le=1, description="share of lines ending in an ellipsis (Gopher: 0.3)")
    min_letter_words: float = Field(0.8, ge=0, le=1, description="share of words with a letter (Gopher: 0.8)")
    max_repeated_lines: float = Field(0.3, ge=0, le=1, description="share of lines that are repetitions (Gopher: 0.3)")
    max_repeated_line_characters: float = Field(
        0.2, ge=0, le=1, description="share of characters in lines that are repetitions (Gopher: 0.2)"
    )
    max_repeated_paragraphs: float = Field(
        0.3, ge=0, le=1, description="share of paragraphs that are repetitions (Gopher: 0.3)"
    )
    max_unprintable: float = Field(
        0.01, ge=0, le=1, description="share of characters that are no text: control, unassigned, U+FFFD"
    )
    error_titles: tuple[Regex, ...] = Field(
        (
            r"(?i)^\W*(error\W*)?(40[0134]|410|50[0234])\b",
            r"(?i)\b(page|file|article) (was )?not found\b",
            r"(?i)^\W*(access denied|forbidden|not found|bad gateway|service unavailable|just a moment)\b",
        ),
        description="regexes; a page with status 200 whose title matches is an error_page",
    )


class CleanConfig(StageConfig):
    """From stored pages to clean text."""

    main_content: bool = Field(True, description="keep the main content of a page only; False keeps all its text")
    skip_elements: tuple[str, ...] = Field((), description="CSS selectors of elements that are left out")
    definition_indent: int = Field(
        4, ge=0, le=16, description="blanks by which the description in a definition list (dd) is set in"
    )
    title_prefix: Regex = Field("", description="regex; what it matches at the beginning of titles is taken off")
    replace: tuple[tuple[Regex, str], ...] = Field(
        (), description="pairs of regex and replacement for the text, applied in order after repair"
    )
    repair: bool = Field(True, description="undo mojibake with ftfy")
    max_nesting: int = Field(
        1000, ge=10, le=100_000, description="tags open within each other; more is nested_too_deep (browsers: 512)"
    )
    max_page_megabytes: float = Field(
        32.0, gt=0, description="a page or record as it is stored; a larger one is too_large, in MB of 10^6 bytes"
    )
    filters: FilterConfig = Field(FilterConfig(), description="the quality filters")
    sample_characters: int = Field(
        2_000, ge=0, description="characters of a removed page's text that are kept beside its reason"
    )
    shard_megabytes: float = Field(
        64.0, gt=0, description="stored pages that go into one shard of documents, in MB: the unit of parallel work"
    )
    page_seconds: int = Execution(
        20, ge=1, description="seconds for one page; a page that takes longer is removed as too_slow"
    )
    workers: int = Execution(0, ge=0, description="shards worked on at once; 0 = one per core")

    @field_validator("replace")
    @classmethod
    def _replacements(cls, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pattern, replacement in pairs:
            try:
                re.sub(pattern, replacement, "")
            except (re.error, IndexError) as error:
                raise ValueError(f"{replacement!r} does not fit the regular expression {pattern!r}: {error}") from error
        return pairs
