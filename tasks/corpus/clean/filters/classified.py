"""The filter that uses classifiers trained from the user's examples: toxicity, bias, quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import ClassifierConfig
from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.linear import Classifier, classifier_file


class Classified(Filter):
    """Linear classifiers on hashed n-grams (tasks.corpus.clean.linear), as in DCLM (Li et al. 2024,
    arXiv:2406.11794).

    The reason for a removal is the classifier's own name. The probability from a classifier named `quality` is kept in
    the attribute `quality`, for the column of that name.
    """

    name: ClassVar[str] = "classifier"

    def __init__(self, config: Sequence[ClassifierConfig], folder: Path) -> None:
        super().__init__(config)
        self._models = [(c, Classifier.load(classifier_file(folder, c.name))) for c in config]
        self.quality: float | None = None

    def apply(self, page: Analysis) -> Removal | str | None:
        """Apply each classifier in turn."""
        self.quality = None
        for config, model in self._models:
            probability = model.probability(page.text)
            if config.name == "quality":
                self.quality = probability
            if config.remove_above is not None and probability >= config.remove_above:
                return Removal(config.name, probability, config.remove_above, "remove_above")
            if config.remove_below is not None and probability < config.remove_below:
                return Removal(config.name, probability, config.remove_below, "remove_below")
        return None
