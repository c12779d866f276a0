"""The config of the export stage: in which formats models leave."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.stage import StageConfig

Format = Literal["hf"]


class ExportConfig(StageConfig):
    """In which formats models leave for other programs."""

    formats: tuple[Format, ...] = Field(
        ("hf",),
        min_length=1,
        description="Formats, a folder for each: hf = Hugging Face, which transformers, vLLM and converters open",
    )
