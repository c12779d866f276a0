"""The pictures of a classifier: its confusions, its calibration, its ROC curve, and accuracy by number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.stage import Output
from tasks.stage.figures import curve, grid
from tasks.training.classify.curve import NAMES, Point
from tasks.training.classify.measures import Measures, roc

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(out: Output, found: Measures, labels: Sequence[str], probabilities: np.ndarray, truth: np.ndarray) -> None:
    """Show what is named for what, whether the probabilities can be trusted, and for two labels the ROC curve."""
    out.figure("confusion", grid(found.confusion, labels, "true label (row), named label (column)"))
    exact = ([0.0, 1.0], [0.0, 1.0])
    bins = ([one.confidence for one in found.bins], [one.accuracy for one in found.bins])
    title = f"calibration: expected error {found.ece:.3f}"
    out.figure("calibration", curve({"network": bins, "exact": exact}, title, "probability", "share named rightly"))
    if found.auc is not None:
        false, true = roc(probabilities[:, 1], truth == 1)
        lines = {labels[1]: (false.tolist(), true.tolist()), "chance": exact}
        title = f"ROC: area {found.auc:.4f}"
        out.figure("roc", curve(lines, title, "share of the others taken for it", "share found"))


def labels_curve(points: Sequence[Point]) -> Figure:
    """Draw accuracy against the number of training texts of each label."""
    numbers = [float(point.labels) for point in points]
    lines = {name: (numbers, [float(point.accuracies[name].mean()) for point in points]) for name in NAMES}
    return curve(lines, "accuracy by number of labels", "training texts of each label", "test accuracy")
