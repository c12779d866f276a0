"""The config of the pretrain stage: the model's shape, its training, the mix of sources, and sample texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from data_lake.tokens.mix import REST, Source
from model.adapter import Adapter
from model.config import Runtime, Training
from model.dial import shape_of, training_of
from model.induction import refusal
from model.shape import GPTShape
from tasks.stage import Execution, StageConfig


class RestConfig(StageConfig):
    """The documents that match none of the mix's sources."""

    weight: float | None = Field(
        None,
        ge=0,
        description="Its weight; null = its own tokens if no source has a weight, otherwise 0: it is not read",
    )
    max_epochs: float | None = Field(None, gt=0, description="How often it may be read; null = no limit")


class SourceConfig(StageConfig):
    """One source of the mix."""

    name: str = Field(
        "source", pattern=r"^[\w.-]+$", max_length=40, description="What to call it in tables and metrics"
    )
    match: tuple[str, ...] = Field(
        ("*",), min_length=1, description="Globs; a document belongs to it if its source or URL matches one of them"
    )
    weight: float | None = Field(
        None, ge=0, description="Its share of the tokens read, relative to the other weights; null = its own tokens"
    )
    max_epochs: float | None = Field(
        None,
        gt=0,
        description="How often it may be read; the other sources fill the gap in proportion to their weights",
    )


class MixConfig(StageConfig):
    """How much of each source is read. Without sources, every training token is read equally often."""

    sources: tuple[SourceConfig, ...] = Field(
        (), description="Sources {name, match, weight, max_epochs}; a document belongs to the first that matches"
    )
    rest: RestConfig = Field(RestConfig(), description="The documents that match no source")
    temperature: float = Field(
        1.0,
        gt=0,
        description="Weights are raised to 1/temperature: 1 = unchanged; higher = sources become more alike",
    )

    @field_validator("sources")
    @classmethod
    def _have_names_of_their_own(cls, sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
        names = [source.name for source in sources]
        for name in names:
            if name == REST or names.count(name) > 1:
                raise ValueError(f"two sources of the mix are called {name!r} ({REST!r} is what matches no source)")
        return sources

    @model_validator(mode="after")
    def _weights_go_together(self) -> Self:
        given = [source.weight is not None for source in self.sources]
        if any(given) and not all(given):
            without = next(source.name for source in self.sources if source.weight is None)
            raise ValueError(
                f"some sources of the mix have a weight and {without!r} has none; give all of them one, or none (then "
                "their tokens are their weights)"
            )
        if not self.sources and (self.temperature != 1.0 or self.rest != RestConfig()):
            raise ValueError("the mix has no sources, so rest and temperature mean nothing; name its sources")
        return self

    def asked(self) -> list[Source]:
        """Return the sources and the rest in the form that `data_lake.tokens.mix` expects."""
        weighted = any(source.weight is not None for source in self.sources)
        rest = 0.0 if weighted and self.rest.weight is None else self.rest.weight
        named = [Source(source.name, source.match, source.weight, source.max_epochs) for source in self.sources]
        return [*named, Source(REST, (), rest, self.rest.max_epochs)]


class SamplesConfig(StageConfig):
    """The texts that a finished model writes for people to look at."""

    prompts: tuple[str, ...] = Field((), description="texts to continue; none = the beginnings of held-out texts")
    count: int = Field(4, ge=0, description="held-out windows to continue if there are no prompts")
    prompt_tokens: int = Field(16, ge=1, description="tokens taken from each of these windows")
    new_tokens: int = Field(64, ge=1, description="tokens to write")
    temperature: float = Field(
        0.8, ge=0, description="0 = always the most likely token; 1 = the model's own distribution"
    )
    top_k: int = Field(50, ge=0, description="sample from the k most likely tokens; 0 = from all")
    top_p: float = Field(
        1.0, gt=0, le=1, description="sample from the most likely tokens that together reach this probability"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the sampling")


class MaskingConfig(StageConfig):
    """Which tokens an encoder has to name (Devlin et al. 2019); a decoder, which predicts the next, hides none."""

    share: float = Field(
        0.15,
        gt=0,
        le=0.5,
        description="share of the tokens that are hidden: 80 % of them by the mask, 10 % by another token, 10 % stay",
    )
    whole_words: bool = Field(False, description="hide all tokens of a word or none")


class PretrainConfig(StageConfig):
    """Which model is trained, and how."""

    # Names for values of model and training, which are in the key.
    depth: int | None = Execution(
        None,
        ge=1,
        le=64,
        description="one dial: layers of a Llama, from which width, heads, context, steps, batch and rate follow; what "
        "model and training say besides replaces that; null = as model and training say",
    )
    tokens_per_weight: float = Execution(
        20.0, gt=0, description="with depth: tokens to read per weight of the layers (20: Hoffmann et al. 2022)"
    )
    model: GPTShape = Field(GPTShape(), description="shape of the network")
    training: Training = Field(Training(), description="optimizer, schedule, length and batch of the training")
    documents: Literal["joined", "separate"] = Field(
        "joined",
        description="joined = documents follow each other and are cut into windows; separate = whole documents are "
        "packed into rows, and each sees itself alone; one longer than the context is split into consecutive parts",
    )
    mix: MixConfig = Field(MixConfig(), description="how much of each source is read")
    start: Literal["random", "induction"] = Field(
        "random",
        description="first weights: random; induction = the first two blocks of a llama begin with a circuit that "
        "copies what stood earlier in the text",
    )
    repeats: int = Field(
        0,
        ge=0,
        description="sequences of random tokens, repeated, that each step reads besides batch_size sequences of text; "
        "they teach to copy",
    )
    masking: MaskingConfig = Field(MaskingConfig(), description="which tokens an encoder (model.network) has to name")
    adapter: Adapter | None = Field(
        None,
        description="low-rank adapter (LoRA) that is trained instead of all weights of the model to go on from; null = "
        "all weights",
    )
    samples: SamplesConfig = Field(SamplesConfig(), description="texts that the finished model writes")
    runtime: Runtime = Execution(
        Runtime(), description="hardware, micro-batches and intervals; they never enter the key"
    )

    @classmethod
    def completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Complete what the depth sets."""
        depth, ratio = given.get("depth"), given.get("tokens_per_weight", cls.model_fields["tokens_per_weight"].default)
        if not isinstance(depth, int) or isinstance(depth, bool) or not 1 <= depth <= 64:
            return given  # reported by the field
        if not isinstance(ratio, int | float) or not ratio > 0:
            return given
        filled = dict(given)
        for name, fields in (("model", shape_of(depth)), ("training", training_of(depth, ratio))):
            own = given.get(name, {})
            if isinstance(own, Mapping):
                filled[name] = {**fields, **own}
        return filled

    @model_validator(mode="after")
    def _objective_is_known(self) -> Self:
        if self.depth is None and self.tokens_per_weight != 20.0:
            raise ValueError("tokens_per_weight means nothing without depth; set depth, or training.steps instead")
        if self.model.network == "encoder-decoder":
            raise ValueError(
                "pretrain trains decoders and encoders; an encoder-decoder learns from pairs of texts, in stage seq2seq"
            )
        if self.model.network == "encoder" and self.repeats:
            raise ValueError("repeats teach a decoder to copy and mean nothing for an encoder; leave them out")
        if self.start == "induction" and (why := refusal(self.model)):
            raise ValueError(f"start cannot be induction: {why}")
        if self.model.network != "encoder" and self.masking != MaskingConfig():
            raise ValueError("masking means nothing for a decoder; leave it out, or set model.network to encoder")
        return self
