"""From a page's extracted text to a document: the user's replacements, the filters, the redaction of personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.boilerplate import Boilerplate
from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.filters import Chain, Removal
from tasks.corpus.clean.languages import UNKNOWN, Identified
from tasks.corpus.clean.normalize import SensitiveWords
from tasks.corpus.clean.page import Cleaned
from tasks.corpus.clean.pii import Redactor
from tasks.corpus.clean.spelling import Speller

_FIRST = (
    "This text is read before the first page of a shard, so that the page need not wait for what is loaded. It has an "
    "address, as in nobody@example.org, and a number that could be a phone's, as in +1 212 555 0173. All the words "
    "that the filters ask for have to be there as well, and that is why it goes on for a while and then ends."
)


@dataclass(frozen=True)
class Refined:
    """A document, or a sample of a removed page's text with its removal. `counts` says what was changed."""

    title: str
    text: str
    removal: Removal | None = None
    language: Identified = UNKNOWN
    quality: float | None = None
    counts: Counter[str] = field(default_factory=Counter)


class Refiner:
    """Everything that happens to a text after its extraction, prepared once per shard.

    folder: the artifact that is being built, which holds trained classifiers and repeated lines. networks: the folders
    of classifiers that the lake has, by name. Raises PermanentError if one of the user's files is missing.
    """

    def __init__(self, config: CleanConfig, folder: Path, networks: Mapping[str, Path] | None = None) -> None:
        self._config = config
        self._boilerplate = Boilerplate(folder)
        self._sensitive = SensitiveWords(config.normalize)
        self._speller = Speller(config.normalize.spelling) if config.normalize.spelling else None
        self._chain = Chain(config.filters, folder, networks)
        self._redactor = Redactor(config.pii)
        # libraries are loaded and code is compiled at first use, which must not count as the first page's time: half a
        # second, and many seconds on a busy machine
        self.refine(Cleaned("", _FIRST), None)
        self._redactor.redact(_FIRST)

    def refine(self, cleaned: Cleaned, url: str | None) -> Refined:
        """Return the document or its removal. Never raises because of a text's content."""
        if cleaned.removal is not None:
            return self._removed(cleaned.title, cleaned.text, cleaned.removal)
        try:
            return self._refine(cleaned, url)
        except Exception as error:  # a library met something its authors did not think of; the page is kept aside
            removal = Removal("cleaning_failed", 1.0, 0.0, f"{type(error).__name__}: {error}"[:500])
            return self._removed(cleaned.title, cleaned.text, removal)

    def _refine(self, cleaned: Cleaned, url: str | None) -> Refined:
        counts: Counter[str] = Counter()
        text, lines = self._boilerplate.strip(cleaned.text, url)
        counts.update(boilerplate_lines=lines, boilerplate_bytes=_lost(cleaned.text, text) if lines else 0)
        text, counts["sensitive_words"] = self._sensitive.replace(text)
        page = Analysis(text, title=cleaned.title, url=url)
        if self._speller is not None and page.language.code == self._speller.language:
            text, counts["corrected_words"] = self._speller.correct(text)
            page = Analysis(text, title=cleaned.title, url=url)
        judged = self._chain.judge(page)
        if judged.removal is not None:
            return self._removed(cleaned.title, judged.page.text, judged.removal)
        if judged.page is not page:
            counts["line_filter_bytes"] = _lost(page.text, judged.page.text)
        text, found = self._redactor.redact(judged.page.text)
        if found:
            counts.update({f"pii_{kind}": number for kind, number in found.items()})
            counts["pii_bytes"] = _lost(judged.page.text, text)
        title, _ = self._redactor.redact(cleaned.title)
        return Refined(title, text, None, judged.page.language, judged.quality, counts)

    def _removed(self, title: str, text: str, removal: Removal) -> Refined:
        """Return a removal with a sample of the text, which is redacted as well."""
        sample = text[: self._config.sample_characters]
        try:
            sample, _ = self._redactor.redact(sample)
        except Exception:  # if redaction fails, no sample is shown
            sample = ""
        return Refined(title, sample, removal)


def _lost(before: str, after: str) -> int:
    """Return by how many bytes of UTF-8 a text became shorter."""
    return len(before.encode("utf-8", "surrogatepass")) - len(after.encode("utf-8", "surrogatepass"))
