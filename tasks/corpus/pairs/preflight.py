"""Checks of the pairs stage before it runs: the files exist and have a pair that can be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.corpus.pairs.reading import FORMATS, pair_files, read_pairs
from tasks.stage.preflight import Facts, Fault, attempt

if TYPE_CHECKING:
    from tasks.corpus.pairs.config import PairsConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: PairsConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why there are no pairs."""
    if not config.data:
        yield Fault("pairs.data", f"pairs.data names no file; give it files of pairs: {FORMATS}.")
    for pattern in config.data:
        yield from attempt("pairs.data", _find_pair, pattern, config.source, config.target)


def _find_pair(pattern: str, source: str, target: str) -> None:
    """Raise an error if the files of a pattern cannot be read or have no usable row."""
    first = ""
    for path in pair_files([pattern]):
        for found in read_pairs(path, source, target):
            if found.pair is not None:
                return
            first = first or f"; the first, {found.place}: {found.reason}"
    raise ValueError(f"{pattern!r} has no row that can be used{first or ', it is empty'}.")
