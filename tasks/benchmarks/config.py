"""The config of the benchmarks stage: which benchmarks, and where their official files are."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from tasks.stage.config import StageConfig


class BenchmarkFiles(StageConfig):
    """The files of one benchmark."""

    path: tuple[str, ...] = Field(
        (),
        description="the official files: paths, patterns, folders (also of `datasets`, as save_to_disk writes them) or "
        "URLs; jsonl, json, csv, tsv, parquet, arrow and txt, plain or compressed",
    )
    shots_path: tuple[str, ...] = Field(
        (), description="files that shots are drawn from; empty = those of `path` whose names say train (or dev)"
    )

    @field_validator("path", "shots_path", mode="before")
    @classmethod
    def _one(cls, given: Any) -> Any:
        """Take a single path for a list of one."""
        return (given,) if isinstance(given, str) else given


class BenchmarksConfig(StageConfig):
    """Which benchmarks are read."""

    files: dict[str, BenchmarkFiles] = Field({}, description="the files of each benchmark, by its name in lm-eval")
    shots: tuple[str, ...] = Field((), description="the benchmarks whose shots are read too")
