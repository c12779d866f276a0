"""The config of the tokenizer stage: how text is split into tokens, and how much text that is learned from."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from model.tokenizer import PATTERNS, SPECIALS
from tasks.stage import StageConfig
from tasks.stage.config import Reference


class TokenizerConfig(StageConfig):
    """How text is split into tokens."""

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
    keep: str = Reference(
        description="An artifact of this stage, as `tokenizer/<key>` (`textmill artifacts` lists them), that is used "
        "instead of learning a new one: ids keep their meaning when the corpus grows, and unchanged documents are not "
        "encoded again. The other fields are then ignored",
    )

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
        return self
