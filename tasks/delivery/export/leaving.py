"""A model on its way out, and what each format's writer returns when it has proved what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_lake.store.lake import Artifact
from model.templates import TemplateName
from tasks.delivery.export.held_out import HeldOut, Windows

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Leaving:
    """A model that leaves. held_out: the text on which it is measured what a format loses, None if there is none."""

    artifact: Artifact
    network: GPT
    tokenizer: Tokenizer
    chat: TemplateName | None
    held_out: HeldOut | None
    bits_per_byte: float | None

    @property
    def name(self) -> str:
        """A short name for other programs."""
        return f"{self.artifact.stage}-{self.artifact.key[:8]}"


@dataclass(frozen=True)
class Proof:
    """What was found on reading a format again.

    difference: the largest of the logits (hf, onnx) or of the likeliest tokens' log-probabilities (gguf) between the
    program that opens it and the weights in it. bits_per_byte: of that program on the held-out text. differs: texts
    that it is known to read otherwise.
    """

    difference: float
    bits_per_byte: float | None
    differs: str = ""

    def lost(self, leaving: Leaving) -> float | None:
        """Return how many more bits per byte that program needs than the model; None if it was not measured."""
        if self.bits_per_byte is None or leaving.bits_per_byte is None:
            return None
        return self.bits_per_byte - leaving.bits_per_byte


def log_likelihoods(network: GPT, tokenizer: Tokenizer, windows: Windows) -> list[float]:
    """Return how likely our own network finds each window, in nats."""
    from model.scoring import Scorer

    return [score.log_likelihood for score in Scorer(network, tokenizer.encode, tokenizer.bos).score_ids(windows)]
