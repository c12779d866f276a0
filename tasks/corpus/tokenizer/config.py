"""The config of the tokenizer stage: which vocabulary is learned, from how much text, or which ready one is taken."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from model.tokenizer import PATTERNS, SPECIALS
from tasks.stage import Execution, StageConfig
from tasks.stage.config import Reference


class TokenizerConfig(StageConfig):
    """How text is split into tokens."""

    algorithm: Literal["bpe", "unigram"] = Field(
        "bpe",
        description="What is learned: byte-pair merges, or a unigram vocabulary (Kudo 2018), which splits each word in "
        "the most probable way but is applied six times as slowly",
    )
    vocab_size: int = Field(
        8192,
        ge=320,
        le=2**20,
        multiple_of=64,
        description="Total number of ids, special tokens included; a small corpus may not have enough pairs to fill it",
    )
    pattern: str = Field(
        "gpt4",
        min_length=1,
        description=f"Regular expression that splits text before pairs are merged: one of {', '.join(PATTERNS)}, or an "
        "expression in Rust's fancy-regex syntax that matches every character",
    )
    specials: tuple[str, ...] = Field(
        (), description=f"Special tokens to reserve besides {', '.join(SPECIALS)}, for example <|tool|>"
    )
    max_bytes: int = Field(
        2_000_000_000,
        ge=1,
        description="Bytes of training text to learn from; from a larger corpus, a sample of whole documents is taken",
    )
    ready: Literal["gpt2", "r50k_base", "cl100k_base", "o200k_base"] | None = Field(
        None,
        description="A ready encoding instead of a learned one; its ranks come from `files` or tiktoken's cache "
        "($TIKTOKEN_CACHE_DIR). null = learn one, or import `files`",
    )
    files: str = Execution(
        "",
        description="File or folder of the ready encoding's ranks; without `ready`, a tokenizer to import instead of "
        "learning one: a folder of Hugging Face, tokenizer.json, tokenizer.model, or *.tiktoken with `pattern`. What "
        "is imported is in the key with its content",
    )
    roles: bool = Field(
        True,
        description="Whether a ready or imported tokenizer gets those of textmill's special tokens that it lacks, "
        "after its own ids, as fine-tuning on conversations needs them",
    )
    download: bool = Execution(
        False, description="Whether the ranks of a ready encoding may be downloaded into tiktoken's cache"
    )
    gpt2: str = Execution(
        "",
        description="File or folder of GPT-2's ranks, whose bytes per token are reported beside those of this "
        "tokenizer; '' = those in tiktoken's cache, if they are there",
    )
    keep: str = Reference(
        description="An artifact of this stage, as `tokenizer/<key>` (`textmill artifacts` lists them), that is used "
        "instead of learning a new one: ids keep their meaning when the corpus grows, and unchanged documents are not "
        "encoded again. The other fields are then ignored",
    )

    @property
    def learns(self) -> bool:
        """Whether a vocabulary is learned from the corpus."""
        return self.ready is None and not self.files

    @field_validator("specials")
    @classmethod
    def _are_new_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for i, name in enumerate(names):
            if not name or name in SPECIALS or name in names[:i] or name.startswith("<|reserved_"):
                raise ValueError(f"{name!r} cannot be reserved: it is empty or a special token already")
        return names

    @model_validator(mode="after")
    def _bytes_fit(self) -> Self:
        needed = 256 + len(SPECIALS) + len(self.specials)
        if self.vocab_size < needed:
            raise ValueError(
                f"vocab_size={self.vocab_size} is too small for 256 bytes and {needed - 256} special tokens"
            )
        if self.specials and not self.learns and not self.roles:
            raise ValueError("specials are given to a ready or imported tokenizer only with roles: true")
        return self
