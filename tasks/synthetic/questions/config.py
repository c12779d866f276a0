"""The config of the questions stage: which benchmarks, how much of them, and when an item counts as contaminated."""

from __future__ import annotations

from pydantic import Field

from tasks.corpus.contamination.detection import DetectionConfig
from tasks.stage.config import StageConfig


class QuestionsConfig(StageConfig):
    """Which benchmarks are used, and how much of them."""

    hellaswag: str = Field("", description="your own HellaSwag jsonl file; empty = items made from held-out pages")
    mmlu: str = Field(
        "", description="your own MMLU folder (dev/ and test/ csv); empty = items made from held-out pages"
    )
    max_items: int = Field(
        200, ge=1, description="largest number of items per benchmark: the first ones of each subject or source, evenly"
    )
    text_bytes: int = Field(
        300_000,
        ge=1,
        description="largest number of bytes of held-out text for perplexity and compression, in whole documents",
    )
    contamination: DetectionConfig | None = Field(
        None,
        description="when an item counts as contaminated by training documents; null = as in `decontaminate.detection`",
    )
    priming_bytes: int = Field(
        32_000_000,
        ge=0,
        description="largest number of bytes of training text that xz is primed with; 0 = no primed comparison",
    )
