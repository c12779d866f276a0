"""Checks of the classify stage before it runs: the device, the pooling, and files with at least two labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, attempt, device_faults
from tasks.training.adapters import shape_of_base
from tasks.training.classify.reading import label_files, rows_of_file

if TYPE_CHECKING:
    from tasks.training.classify.config import ClassifyConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"
READ = 100_000  # rows until the plan takes it that there is only one label so far and lets the stage look further


def check(config: ClassifyConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why no labels can be learned."""
    yield from device_faults("classify.runtime.device", config.runtime.device)
    shape = shape_of_base(facts)
    if config.pooling == "first" and shape is not None and shape.network == "decoder":
        why = "The first token of a decoder has seen nothing of the text; set it to last or mean, or to null."
        yield Fault("classify.pooling", why)
    if config.data:
        yield from attempt("classify.data", _two_labels, config)


def _two_labels(config: ClassifyConfig) -> None:
    """Raise an error if a file cannot be read or has no usable row, or if all of them have one label."""
    labels: set[str] = set()
    read = 0
    for path in label_files(config.data):
        usable, first = False, ""
        for row in rows_of_file(path, config.text, config.label):
            read += 1
            usable = usable or not row.kind
            first = first or (f"; the first, {row.place}: {row.reason}" if row.kind else "")
            if not row.kind:
                labels.add(row.label)
            if usable and (len(labels) > 1 or read > READ):
                break
        if not usable:
            raise ValueError(f"{path} has no row with a text and a label{first or ', it is empty'}.")
    if len(labels) < 2 and read <= READ:
        raise ValueError(f"All texts have the label {next(iter(labels))!r}; there must be two to tell apart.")
