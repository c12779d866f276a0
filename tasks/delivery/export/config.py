"""The config of the export stage: in which formats models leave."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.stage import StageConfig

Format = Literal[
    "hf", "gguf-f32", "gguf-f16", "gguf-q8_0", "gguf-q6_k", "gguf-q5_k_m", "gguf-q4_k_m", "gguf-q4_0",
    "onnx",
]  # fmt: skip


class ExportConfig(StageConfig):
    """In which formats models leave for other programs, and how much they may lose."""

    formats: tuple[Format, ...] = Field(
        ("hf",),
        min_length=1,
        description="formats, a folder for each: hf = Hugging Face, which transformers, vLLM and converters open; "
        "gguf-… = a file for llama.cpp with weights of that type, and a Modelfile for Ollama; onnx = the "
        "network for onnxruntime, without a cache; all but hf need the extra textmill[export]",
    )
    held_out_tokens: int = Field(
        2048,
        ge=0,
        description="tokens of held-out text on which it is measured what a format loses; 0 = it is not measured",
    )
    max_loss: float = Field(
        0.1,
        ge=0,
        description="most bits per byte of held-out text that a format may lose; it is not written if it does",
    )
