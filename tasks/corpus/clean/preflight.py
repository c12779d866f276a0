"""What clean can check before it runs: that the user's lists, examples, selectors and languages can be used."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.user_files import lines
from tasks.stage.preflight import Facts, Fault, attempt

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: CleanConfig, facts: Facts) -> Iterator[Fault]:
    """Yield a fault for each of the user's own settings that cannot be used."""
    normalize, filters = config.normalize, config.filters
    for field, patterns in (
        ("clean.normalize.sensitive_files", normalize.sensitive_files),
        ("clean.filters.bad_words.files", filters.bad_words.files),
        ("clean.filters.url_list.files", filters.url_list.files),
    ):
        for pattern in patterns:
            yield from attempt(field, lambda pattern, field: list(lines([pattern], field)), pattern, field)
    if filters.classifiers:
        from tasks.corpus.clean.classifier import examples_of

        for settings in filters.classifiers:
            yield from attempt("clean.filters.classifiers", examples_of, settings)
    if normalize.spelling:
        from tasks.corpus.clean.spelling import Speller

        yield from attempt("clean.normalize.spelling", Speller, normalize.spelling)
    for selector in config.skip_elements:
        yield from attempt("clean.skip_elements", _select, selector)
    if "phone" in config.pii.types:
        yield from _regions(config.pii.phone_regions)


def _select(selector: str) -> None:
    from resiliparse.parse.html import HTMLTree

    document = HTMLTree.parse("<p>").document
    try:
        if document is not None:
            document.query_selector_all(selector)
    except Exception as error:  # the parser raises its own exception types
        raise ValueError(f"{selector!r} is not a CSS selector ({error}).") from error


def _regions(regions: tuple[str, ...]) -> Iterator[Fault]:
    from phonenumbers import SUPPORTED_REGIONS

    for region in regions:
        if region not in SUPPORTED_REGIONS:
            yield Fault("clean.pii.phone_regions", f"{region!r} is not a country whose phone numbers are known.")
