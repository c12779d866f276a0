"""Checks of the preferences stage before it runs: the files exist and have a pair that can be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, attempt
from tasks.training.preferences.labelled import preference_or_labelled
from tasks.training.sft.instructions import instruction_files, read_records

if TYPE_CHECKING:
    from tasks.training.preferences.config import PreferencesConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: PreferencesConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why there are no pairs."""
    for pattern in config.data:
        yield from attempt("preferences.data", _find_pair, pattern)


def _find_pair(pattern: str) -> None:
    """Raise an error if the files of a pattern cannot be read or have no usable record."""
    first = ""
    for path in instruction_files([pattern], "preferences.data"):
        for record in read_records(path, preference_or_labelled):
            if record.found is not None:
                return
            first = first or f"; the first, {record.place}: {record.reason}"
    raise ValueError(f"{pattern!r} has no pair of answers that can be used{first or ', it is empty'}.")
