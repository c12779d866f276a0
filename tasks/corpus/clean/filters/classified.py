"""The filter that uses classifiers: trained from the user's examples, or networks of the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import ClassifierConfig
from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.linear import Classifier, classifier_file


class Classified(Filter):
    """Linear classifiers on hashed n-grams (tasks.corpus.clean.linear), as in DCLM (Li et al. 2024,
    arXiv:2406.11794), and networks with a head, as FineWeb-Edu's (Penedo et al. 2024, arXiv:2406.17557).

    The reason for a removal is the classifier's own name. The probability from a classifier named `quality` is kept in
    the attribute `quality`, for the column of that name.
    """

    name: ClassVar[str] = "classifier"

    def __init__(self, config: Sequence[ClassifierConfig], folder: Path, networks: Mapping[str, Path]) -> None:
        """`networks` has the folders of those that `trained_by` names, by the classifiers' own names."""
        super().__init__(config)
        self._models = [(one, _probability_of(one, folder, networks)) for one in config]
        self.quality: float | None = None

    def apply(self, page: Analysis) -> Removal | str | None:
        """Apply each classifier in turn."""
        self.quality = None
        for config, probability_of in self._models:
            probability = probability_of(page.text)
            if config.name == "quality":
                self.quality = probability
            if config.remove_above is not None and probability >= config.remove_above:
                return Removal(config.name, probability, config.remove_above, "remove_above")
            if config.remove_below is not None and probability < config.remove_below:
                return Removal(config.name, probability, config.remove_below, "remove_below")
        return None


def _probability_of(config: ClassifierConfig, folder: Path, networks: Mapping[str, Path]) -> Callable[[str], float]:
    if not config.trained_by:
        return Classifier.load(classifier_file(folder, config.name)).probability
    from tasks.corpus.clean.network import Network

    return Network(networks[config.name], config.label, config.windows).probability
