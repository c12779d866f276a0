"""The config of the sft stage: which instructions the model learns, and how."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from model.adapter import Adapter
from model.config import Runtime, Training
from model.templates import TemplateName
from tasks.stage import Execution, StageConfig


class InstructionSource(StageConfig):
    """One source of a mixture of instruction data."""

    name: str = Field(
        "source", pattern=r"^[\w.-]+$", max_length=40, description="what to call it in tables, counts and reasons"
    )
    data: tuple[str, ...] = Field((), description="files, globs or folders, as in `sft.data`")
    weight: float | None = Field(
        None, ge=0, description="its share of the examples read, relative to the other weights; null = its examples"
    )
    max_epochs: float | None = Field(
        None,
        gt=0,
        description="how often it may be read; the others fill the gap in proportion to their weights",
    )
    max_examples: int | None = Field(
        None, ge=1, description="largest number of its training examples, and of its held-out ones; null = no limit"
    )


class QuotationsConfig(StageConfig):
    """Questions with the text that answers them, made up anew for each step; the answer is a quotation from the text.

    They are made of the pages of Python's documentation, and put names and descriptions together that do not belong
    together, so that only the text can tell the answer.
    """

    count: int = Field(
        0, ge=0, description="such questions that each step reads besides its batch_size examples; 0 = none"
    )
    passages: int = Field(3, ge=1, description="largest number of passages in the text of a question")
    measured: int = Field(
        400, ge=1, description="largest number of questions about held-out pages that the model is asked"
    )


class SftConfig(StageConfig):
    """Which instructions the model learns, and how."""

    data: tuple[str, ...] = Field(
        (),
        description="instruction files, globs or folders: json, jsonl, csv, tsv, parquet, plain or compressed, or a "
        "folder of Hugging Face's datasets; none, and no sources = pairs from the corpus",
    )
    sources: tuple[InstructionSource, ...] = Field(
        (), description="instead of `data`, a mixture: {name, data, weight, max_epochs, max_examples} of each source"
    )
    validation: float = Field(0.05, ge=0, lt=1, description="share of the records in `data` held out, by hash")
    max_examples: int = Field(
        20_000,
        ge=1,
        description="largest number of training examples, and of held-out ones; which are used is decided by hash "
        "(LIMA: 1,000 good ones)",
    )
    prompt: TemplateName = Field(
        "textmill",
        description="style of the prompts: textmill = its own special tokens; alpaca; phi3; chatml. Marks of a style "
        "are special tokens where the vocabulary has them (tokenizer.specials), else text, which a message can forge",
    )
    answer_characters: int = Field(240, ge=20, description="longest answer made from a docstring, in whole sentences")
    lines_per_page: int = Field(8, ge=0, description="cut lines of each page that become pairs: finish this line")
    quotations: QuotationsConfig = Field(
        QuotationsConfig(), description="questions with the text that answers them, besides the pairs"
    )
    replay: int = Field(
        0,
        ge=0,
        description="rows of plain text of the training pages that each step reads besides, each as long as the "
        "context, all of whose tokens are learned, so that less of it is forgotten; 0 = none",
    )
    training: Training = Field(
        Training(steps=300, batch_size=16, learning_rate=5e-4, weight_decay=0.0),
        description="optimizer, schedule, length and batch of the fine-tuning",
    )
    packed: bool = Field(
        False,
        description="best-fit packing: several examples share a row of the context's length, and each sees itself "
        "alone; batch_size then counts rows",
    )
    neftune: float = Field(
        0.0, ge=0, description="noise on the embedded tokens of T·C numbers: ± neftune / √(T·C); 0 = none, often 5"
    )
    adapter: Adapter | None = Field(
        None, description="low-rank adapter (LoRA) that is trained instead of all weights; null = all weights"
    )
    samples: int = Field(8, ge=0, description="held-out instructions that the finished model answers")
    sample_tokens: int = Field(64, ge=1, description="largest number of tokens of such an answer")
    runtime: Runtime = Execution(Runtime(), description="hardware, splits and intervals; they never enter the key")

    @model_validator(mode="after")
    def _sources_are_whole(self) -> Self:
        if self.data and self.sources:
            raise ValueError("give the files in data or in sources, not in both")
        names = [source.name for source in self.sources]
        for source in self.sources:
            if names.count(source.name) > 1:
                raise ValueError(f"two sources are called {source.name!r}")
            if not source.data:
                raise ValueError(f"the source {source.name!r} names no file in data")
        given = [source.weight is not None for source in self.sources]
        if any(given) and not all(given):
            without = next(source.name for source in self.sources if source.weight is None)
            raise ValueError(
                f"some sources have a weight and {without!r} has none; give all of them one, or none (then their "
                "examples are their weights)"
            )
        return self

    def files(self) -> tuple[str, ...]:
        """Return all files, globs and folders that are named."""
        return self.data or tuple(pattern for source in self.sources for pattern in source.data)
