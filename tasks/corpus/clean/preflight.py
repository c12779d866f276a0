"""What clean can check before it runs: that the user's lists, examples, selectors and languages can be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.filter_config import ClassifierConfig
from tasks.corpus.clean.user_files import lines
from tasks.stage import Artifact
from tasks.stage.preflight import Facts, Fault, attempt
from tasks.stage.roles import inputs_of

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
    yield from _classifiers(filters.classifiers, facts)
    if normalize.spelling:
        from tasks.corpus.clean.spelling import Speller

        yield from attempt("clean.normalize.spelling", Speller, normalize.spelling)
    for selector in config.skip_elements:
        yield from attempt("clean.skip_elements", _select, selector)
    if "phone" in config.pii.types:
        yield from _regions(config.pii.phone_regions)


def _classifiers(classifiers: Sequence[ClassifierConfig], facts: Facts) -> Iterator[Fault]:
    """Yield why one cannot be trained from its examples, or which label a network does not have."""
    from tasks.corpus.clean.classifier import examples_of

    networks = iter(inputs_of("classifiers", facts.inputs))
    for settings in classifiers:
        if not settings.trained_by:
            yield from attempt("clean.filters.classifiers", examples_of, settings)
        elif (role := next(networks, None)) is not None:
            yield from attempt("clean.filters.classifiers", _has_label, settings, facts.inputs[role])


def _has_label(settings: ClassifierConfig, network: Artifact) -> None:
    from model.labels import labels_in

    labels = labels_in(network.path)
    if settings.label not in labels:
        raise ValueError(
            f"The classifier {settings.name!r} asks for the label {settings.label!r}, which {network.name} does not "
            f"have; it has {', '.join(labels)}."
        )


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
