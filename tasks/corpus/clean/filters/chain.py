"""All filters by name, and the chain of those that a config asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import FILTERS, FilterConfig
from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.filters.c4 import C4
from tasks.corpus.clean.filters.classified import Classified
from tasks.corpus.clean.filters.fineweb import FineWeb
from tasks.corpus.clean.filters.gopher import GopherQuality, GopherRepetition
from tasks.corpus.clean.filters.lists import BadWords, UrlList
from tasks.corpus.clean.filters.pages import ErrorPage, Language, Length, NotText

CLASSES: dict[str, type[Filter]] = {
    filter_class.name: filter_class
    for filter_class in (
        UrlList,
        Length,
        ErrorPage,
        NotText,
        Language,
        BadWords,
        GopherQuality,
        GopherRepetition,
        C4,
        FineWeb,
        Classified,
    )
}
"""Every filter by its name, in the order in which they are applied: cheap ones first."""

assert tuple(CLASSES) == FILTERS


@dataclass(frozen=True)
class Judged:
    """The text after the filters that remove lines, and the removal if the page is removed."""

    page: Analysis
    removal: Removal | None
    quality: float | None = None


class Chain:
    """The filters that a config asks for, ready to judge.

    folder: the artifact that holds trained classifiers. networks: the folders of those that the lake has, by name.
    """

    def __init__(self, config: FilterConfig, folder: Path, networks: Mapping[str, Path] | None = None) -> None:
        self._filters: list[Filter] = []
        for name, filter_class in CLASSES.items():
            if name not in config.use:
                continue
            if filter_class is Classified:
                if config.classifiers:
                    self._filters.append(Classified(config.classifiers, folder, networks or {}))
            else:
                self._filters.append(filter_class(getattr(config, name)))

    def judge(self, page: Analysis) -> Judged:
        """Apply each filter until one removes the page."""
        quality: float | None = None
        for each in self._filters:
            said = each.apply(page)
            if isinstance(said, Removal):
                return Judged(page, said, quality)
            if isinstance(said, str):
                page = Analysis(said, title=page.title, url=page.url)
            if isinstance(each, Classified):
                quality = each.quality
        return Judged(page, None, quality)
