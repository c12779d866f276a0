"""The config of the preferences stage: which pairs of answers, and how many are held out."""

from __future__ import annotations

from pydantic import Field

from tasks.stage import StageConfig


class PreferencesConfig(StageConfig):
    """Which answers are better than others."""

    data: tuple[str, ...] = Field(
        (),
        description="files or globs (json, jsonl or parquet, plain or compressed) with a better and a worse answer in "
        "each record, or one that is labelled good or bad; none = pairs made from Python's documentation in the corpus",
    )
    validation: float = Field(0.1, gt=0, lt=1, description="share of the records in `data` held out, by their prompts")
    max_pairs: int = Field(
        20_000, ge=1, description="largest number of training pairs; which ones are used is decided by hash"
    )
    answer_characters: int = Field(200, ge=20, description="longest answer made from a docstring, in whole sentences")
