"""The config of the sft stage: which instructions the model learns, and how."""

from __future__ import annotations

from pydantic import Field

from model.adapter import Adapter
from model.config import Runtime, Training
from model.templates import TemplateName
from tasks.stage import Execution, StageConfig


class SftConfig(StageConfig):
    """Which instructions the model learns, and how."""

    data: tuple[str, ...] = Field(
        (),
        description="instruction files or globs (json or jsonl, plain or compressed); none = pairs from the corpus",
    )
    validation: float = Field(0.05, ge=0, lt=1, description="share of the records in `data` held out, by hash")
    max_pairs: int = Field(
        20_000, ge=1, description="largest number of training pairs; which ones are used is decided by hash"
    )
    prompt: TemplateName = Field(
        "textmill",
        description="style of the prompts: textmill = its own special tokens; alpaca; phi3; chatml. Marks of a style "
        "are special tokens where the vocabulary has them (tokenizer.specials), else text, which a message can forge",
    )
    answer_characters: int = Field(240, ge=20, description="longest answer made from a docstring, in whole sentences")
    lines_per_page: int = Field(8, ge=0, description="cut lines of each page that become pairs: finish this line")
    training: Training = Field(
        Training(steps=300, batch_size=16, learning_rate=5e-4, weight_decay=0.0),
        description="optimizer, schedule, length and batch of the fine-tuning",
    )
    adapter: Adapter | None = Field(
        None, description="low-rank adapter (LoRA) that is trained instead of all weights; null = all weights"
    )
    samples: int = Field(8, ge=0, description="held-out instructions that the finished model answers")
    sample_tokens: int = Field(64, ge=1, description="largest number of tokens of such an answer")
    runtime: Runtime = Execution(Runtime(), description="hardware, splits and intervals; they never enter the key")
