"""The config of the pairs stage: which files, which columns, and how many pairs are held out."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tasks.stage import StageConfig
from tasks.stage.columns import Column


class PairsConfig(StageConfig):
    """Which texts belong together: a source and the target that is written for it, such as a translation."""

    data: tuple[str, ...] = Field(
        (), description="files or globs with a pair in each row: csv, tsv, jsonl, json or parquet, plain or compressed"
    )
    source: Column = Field(
        "",
        description="column of the source; a.b = the field b inside a; a number = the column of a csv or tsv file "
        "without names, counted from 1. Empty = found by its name (source, src, document, text, input, …), or the "
        "first of two columns",
    )
    target: Column = Field(
        "", description="column of the target, in the same way; empty = found by its name, or the other"
    )
    validation: float = Field(
        0.05, gt=0, lt=1, description="share of the pairs held out, by a hash of the source's words"
    )
    keep_identical: bool = Field(
        False, description="keep pairs whose two texts are the same; among translations those are untranslated lines"
    )
    max_pairs: int = Field(
        1_000_000, ge=2, description="largest number of training pairs; which ones are used is decided by hash"
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.source) != bool(self.target):
            raise ValueError("name the columns of both, source and target, or of none to have them found")
        if self.source and self.source == self.target:
            raise ValueError(f"source and target are the same column, {self.source!r}")
        return self
