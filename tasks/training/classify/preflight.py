"""Checks of the classify stage before it runs: the device, the pooling, and files with at least two labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, attempt, device_faults
from tasks.training.adapters import shape_of_base
from tasks.training.classify.reading import FIELDS, held_out_files, label_files, rows_of_file

if TYPE_CHECKING:
    from tasks.training.classify.config import ClassifyConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"
READ = 100_000  # rows until the plan takes it that it does not know all labels and lets the stage look further


def check(config: ClassifyConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why no labels can be learned."""
    yield from device_faults("classify.runtime.device", config.runtime.device)
    shape = shape_of_base(facts)
    if config.pooling == "first" and shape is not None and shape.network == "decoder":
        why = "The first token of a decoder has seen nothing of the text; set it to last or mean, or to null."
        yield Fault("classify.pooling", why)
    if config.data:
        faults = list(attempt(FIELDS["train"], _two_labels, config))
        if config.validation_data and not faults:
            faults += attempt(FIELDS["val"], _known_labels, config.model_copy(update={"test_data": ()}), "val")
        if config.test_data and not faults:
            faults += attempt(FIELDS["test"], _known_labels, config, "test")
        yield from faults


def _two_labels(config: ClassifyConfig) -> None:
    """Raise an error if a file to learn from has no usable row, or if all of them have one label."""
    labels = _labels(config, label_files(config.data), 2)
    if len(labels) == 1:
        raise ValueError(f"All texts have the label {next(iter(labels))!r}; there must be two to tell apart.")


def _known_labels(config: ClassifyConfig, split: str) -> None:
    """Raise an error if a file of a split has no usable row, or if no label of the split can be learned."""
    labels = _labels(config, held_out_files(config)[split], math.inf)
    known = _labels(config, label_files(config.data), math.inf)
    if labels and known and not labels & known:
        raise ValueError(
            f"The labels are {', '.join(sorted(labels)[:5])}, of which {FIELDS['train']} has none, but "
            f"{', '.join(sorted(known)[:5])}."
        )


def _labels(config: ClassifyConfig, paths: Sequence[Path], enough: float) -> set[str]:
    """Return the labels in files, at most about as many as are enough; none if there are more rows than are READ.

    Raises an error if a file cannot be read or has no usable row.
    """
    labels: set[str] = set()
    read = 0
    for path in paths:
        usable, first = False, ""
        for row in rows_of_file(path, config.text, config.label):
            read += 1
            usable = usable or not row.kind
            first = first or (f"; the first, {row.place}: {row.reason}" if row.kind else "")
            if not row.kind:
                labels.add(row.label)
            if usable and (len(labels) >= enough or read > READ):
                break
        if not usable:
            raise ValueError(f"{path} has no row with a text and a label{first or ', it is empty'}.")
    return set() if read > READ and len(labels) < enough else labels
