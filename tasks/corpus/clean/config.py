"""The config of clean: extraction, repair, and the filters with their published thresholds."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator

from tasks.corpus.clean.filter_config import FilterConfig
from tasks.corpus.clean.text_config import NormalizeConfig, PiiConfig
from tasks.stage.config import Execution, StageConfig
from tasks.stage.patterns import Regex


class CleanConfig(StageConfig):
    """From stored pages to clean text."""

    extraction: Literal["auto", "fast", "quality", "all_text"] = Field(
        "auto",
        description="how main text is found: `auto` = block model, and trafilatura if that is unsure; `fast` = "
        "resiliparse, which leaves out bulleted lists; `quality` = trafilatura; `all_text` keeps all",
    )
    ask_below: float = Field(
        0.9, ge=0, le=1, description="`auto` asks trafilatura about articles whose expected F1 is lower; 0 = never"
    )
    skip_elements: tuple[str, ...] = Field((), description="CSS selectors of elements that are left out")
    definition_indent: int = Field(
        4, ge=0, le=16, description="spaces by which the description in a definition list (dd) is indented"
    )
    title_prefix: Regex = Field("", description="regex; what it matches at the beginning of titles is removed")
    replace: tuple[tuple[Regex, str], ...] = Field(
        (), description="pairs of regex and replacement for the text, applied in order after repair"
    )
    normalize: NormalizeConfig = Field(NormalizeConfig(), description="text repair and normalisation")
    pii: PiiConfig = Field(PiiConfig(), description="personal data that is redacted")
    max_nesting: int = Field(
        1000, ge=10, le=100_000, description="nesting depth of tags; deeper pages are nested_too_deep (browsers: 512)"
    )
    max_page_megabytes: float = Field(
        32.0, gt=0, description="stored size of a page or record, in MB of 10^6 bytes; a larger one is too_large"
    )
    filters: FilterConfig = Field(FilterConfig(), description="the quality filters")
    sample_characters: int = Field(
        2_000, ge=0, description="characters of a removed page's text that are kept with its reason"
    )
    shard_megabytes: float = Field(
        64.0, gt=0, description="stored pages per shard of documents, in MB: the unit of parallel work"
    )
    page_seconds: int = Execution(
        20,
        ge=1,
        description="seconds for one page; a slower one is extracted again without trafilatura and, if that is too "
        "slow as well, removed as too_slow",
    )
    workers: int = Execution(0, ge=0, description="shards processed at once; 0 = one per core")
    # measured: a process has 420 MB after 4,000 pages of 170 kB, and starting another one takes 1.4 s
    recycle_megabytes: int = Execution(
        1000,
        ge=0,
        description="megabytes of memory above which a process is replaced after its shard, because parsers leak",
    )

    @property
    def asks_trafilatura(self) -> bool:
        """Whether any page's text may be trafilatura's."""
        return self.extraction == "quality" or (self.extraction == "auto" and self.ask_below > 0)

    def without_trafilatura(self) -> Self:
        """Return the same config, except that the block model alone finds the text."""
        return self.model_copy(update={"extraction": "auto", "ask_below": 0.0})

    @field_validator("replace")
    @classmethod
    def _replacements(cls, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pattern, replacement in pairs:
            try:
                re.sub(pattern, replacement, "")
            except (re.error, IndexError) as error:
                raise ValueError(f"{replacement!r} does not fit the regular expression {pattern!r}: {error}") from error
        return pairs
