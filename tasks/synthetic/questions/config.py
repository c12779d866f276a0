"""The config of the questions stage: which benchmarks, how much of them, and when an item counts as contaminated."""

from __future__ import annotations

from pydantic import Field

from tasks.benchmarks.config import BenchmarkFiles
from tasks.corpus.contamination.detection import DetectionConfig
from tasks.stage.config import StageConfig


class AskedConfig(BenchmarkFiles):
    """How much of a benchmark is asked, and after how many shots."""

    limit: int | None = Field(
        None, ge=0, description="largest number of items, evenly from its subjects; null = `max_items`, 0 = all"
    )
    seed: int | None = Field(
        None, description="draws the items of each subject at random; null = the first ones, as lm-eval's --limit"
    )
    shots: int | None = Field(
        None, ge=0, le=100, description="solved examples before each question (lm-eval's num_fewshot); null = lm-eval's"
    )


class QuestionsConfig(StageConfig):
    """Which benchmarks are used, and how much of them."""

    hellaswag: str = Field("", description="your own HellaSwag jsonl file; empty = items made from held-out pages")
    mmlu: str = Field(
        "", description="your own MMLU folder (dev/ and test/ csv); empty = items made from held-out pages"
    )
    benchmarks: dict[str, AskedConfig] = Field(
        {},
        description="benchmarks by their names in lm-eval, with their official files: {arc_easy: {path: arc/, shots: "
        "25}}; `hellaswag` or `mmlu` here takes the place of the items that are made",
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
