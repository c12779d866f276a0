"""The config of the decontaminate stage: what is looked for, what counts as found, and what is done about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.corpus.contamination.detection import DetectionConfig
from tasks.corpus.splits import SplitConfig
from tasks.stage.config import Execution, StageConfig


class CutConfig(StageConfig):
    """How a passage is cut out; the defaults are GPT-3's (Brown et al. 2020, appendix C)."""

    window: int = Field(200, ge=0, description="Characters that are cut on either side of what was found")
    shortest_piece: int = Field(200, ge=0, description="Characters that a piece must have to be kept")
    max_pieces: int = Field(10, ge=1, description="Pieces that a document may be cut into; with more it is removed")


class OverlapConfig(StageConfig):
    """What is done about held-out documents whose text also occurs in training documents."""

    # The held-out document is removed: text that is in training measures memorization and not generalization. Removing
    # it costs only some evaluation text, while cutting training documents would cost the model training text.
    action: Literal["drop_held_out", "report"] = Field(
        "drop_held_out",
        description="What happens to a held-out document that overlaps with training: drop_held_out = it is removed, "
        "training documents are not changed; report = it is kept",
    )
    share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Share of a held-out document's n-grams that training documents must have for it to overlap",
    )
    max_ngrams: int = Field(
        100_000_000,
        ge=1,
        description="Largest number of held-out n-grams to look for, 8 bytes each; if there are more, a sample is used",
    )


class DecontaminateConfig(StageConfig):
    """What must not be learned, and what is done if it is found."""

    hellaswag: str | None = Field(None, description="HellaSwag jsonl file to look for; null = the one of `questions`")
    mmlu: str | None = Field(None, description="MMLU folder (test/ csv) to look for; null = the one of `questions`")
    benchmarks: tuple[str, ...] = Field(
        (),
        description="More files, folders or patterns to look for: jsonl, json, csv, tsv and parquet with question, "
        "choices and answer, MMLU's csv without column names, txt with one item per line; plain or compressed (gz, "
        "zst, bz2, xz)",
    )
    # Naming a benchmark that is not found costs nothing: no document changes and no model is rebuilt.
    action: Literal["cut", "drop", "report"] = Field(
        "cut",
        description="What happens to a training document with contaminated n-grams: cut = the passage is cut out; "
        "drop = the document is removed; report = it is kept",
    )
    detection: DetectionConfig = Field(DetectionConfig(), description="When an item counts as found")
    cut: CutConfig = Field(CutConfig(), description="How a passage is cut out")
    split: SplitConfig = Field(SplitConfig(), description="Which documents are held out of all training")
    overlap: OverlapConfig = Field(OverlapConfig(), description="Held-out documents whose text is in training too")
    workers: int = Execution(
        0, ge=0, description="Processes that scan shards; 0 = chosen by cores and size of the corpus"
    )
