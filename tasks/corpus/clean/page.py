"""One page from stored bytes to its text, or to the reason why there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.encoding import UNKNOWN, decode
from tasks.corpus.clean.extract import NotExtractable, html_to_text
from tasks.corpus.clean.filters.base import Removal
from tasks.corpus.clean.html.metadata import Metadata
from tasks.corpus.clean.normalize import normalize

XHTML = "application/xhtml+xml"
HTML = frozenset({"text/html", XHTML})
# Largest share of undecoded characters in a text of unknown encoding; keeps long English texts with an é or two.
MOST_UNREAD = 0.01


@dataclass(frozen=True)
class Cleaned:
    """Title and text of a page, the removal if it is removed, and what the page says about itself."""

    title: str
    text: str
    removal: Removal | None = None
    about: Metadata = field(default_factory=Metadata)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Cleaned:
        """Rebuild an instance from the result of dataclasses.asdict."""
        removal = data["removal"]
        about = Metadata(**data["about"])
        return cls(**data | {"removal": Removal(**removal) if removal else None, "about": about})


def clean_page(
    body: bytes, mime: str, charset: str | None, title: str | None, config: CleanConfig, url: str | None = None
) -> Cleaned:
    """Decode, extract and repair a page; tasks.corpus.clean.refine judges it. Never raises because of its content."""
    if len(body) > config.max_page_megabytes * 1e6:
        limit = config.max_page_megabytes
        return Cleaned(title or "", "", Removal("too_large", len(body) / 1e6, limit))
    html = mime in HTML
    text, encoding = decode(body, charset, html=html)
    if encoding == UNKNOWN and (unread := text.count("\ufffd") / len(text)) > MOST_UNREAD:
        return Cleaned(title or "", text, Removal("unknown_encoding", unread, MOST_UNREAD))
    about = Metadata()
    if html:
        try:
            found = html_to_text(text, config, url, xml=mime == XHTML)
        except NotExtractable as error:
            return Cleaned(title or "", "", Removal(error.reason, error.value, error.threshold))
        except Exception as error:  # the extractor met something its authors did not think of; the page is kept aside
            return Cleaned(title or "", "", Removal("extraction_failed", 1.0, 0.0, f"{type(error).__name__}: {error}"))
        title, text, about = title or found.title, found.text, found.about
    title = " ".join(normalize(title or "", config).split())[:500]
    if config.title_prefix:
        title = re.sub(rf"\A(?:{config.title_prefix})", "", title)
    return Cleaned(title, normalize(text, config), about=about)
