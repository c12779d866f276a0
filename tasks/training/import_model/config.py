"""The config of the import_model stage: which folder holds the model, and what of it is kept."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from tasks.stage import Execution, StageConfig
from tasks.stage.file_patterns import as_name


class ImportConfig(StageConfig):
    """Which model comes in. Its files are in the key with their content, so the folder may lie anywhere."""

    folder: str = Execution(
        "",
        description="Hugging Face folder of a GPT-2, Llama (SmolLM, Mistral without a sliding window) or Qwen3: "
        "config.json, safetensors or PyTorch weights, and the tokenizer's files. Nothing is downloaded",
    )
    max_seq_len: int | None = Field(
        None,
        ge=8,
        description="longest context in tokens that is kept, to train in less memory; null = the model's own",
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of activations set to 0 where the model is trained further"
    )

    @property
    def path(self) -> Path:
        """The folder as a path of this machine."""
        return Path(as_name(os.path.expanduser(self.folder)))
