"""The mix of a pretraining: how much of each source is read, announced before it starts and counted at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

from data_lake.files import write_whole
from data_lake.mix import REST, MixedDataset, MixError, Source, plan_mix, training_index
from tasks import figures
from tasks.config import StageConfig
from tasks.stage import Artifact, Output, PermanentError

if TYPE_CHECKING:
    from tasks.pretrain.stage import PretrainConfig

MIX_FILE = "mix.json"


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
        """Return the sources and the rest, as `data_lake.mix` takes them."""
        weighted = any(source.weight is not None for source in self.sources)
        rest = 0.0 if weighted and self.rest.weight is None else self.rest.weight
        named = [Source(source.name, source.match, source.weight, source.max_epochs) for source in self.sources]
        return [*named, Source(REST, (), rest, self.rest.max_epochs)]


def open_mix(config: PretrainConfig, out: Output, tokens: Artifact) -> MixedDataset:
    """Return the mixed training windows, and say what will be read of each source."""
    training = config.training
    try:
        mixed = MixedDataset(
            tokens.path,
            config.mix.asked(),
            seq_len=config.model.max_seq_len,
            draws=training.steps * training.batch_size,
            temperature=config.mix.temperature,
            seed=training.seed,
        )
    except MixError as error:
        raise PermanentError(f"{error} See pretrain.mix.") from error
    for share in mixed.shares:
        limit = " (as often as it may be)" if share.capped else ""
        out.info(f"mix: {share.name}: {share.share:.1%} of what is read, {share.epochs:.2f} epochs of {share.tokens:,} "
                 f"tokens{limit}")  # fmt: skip
    return mixed


def preview(config: PretrainConfig, inputs: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """Return what will be read of each source, from the index of the tokens alone; [] where there is no mix."""
    if not config.mix.sources:
        return []
    training = config.training
    try:
        shares, _ = plan_mix(
            training_index(inputs["tokens"].path),
            config.mix.asked(),
            seq_len=config.model.max_seq_len,
            draws=training.steps * training.batch_size,
            temperature=config.mix.temperature,
        )
    except MixError as error:
        raise PermanentError(f"{error} See pretrain.mix.") from error
    return [share.row() for share in shares]


def report_mix(config: PretrainConfig, out: Output, mixed: MixedDataset) -> None:
    """Write mix.json: what was drawn of each source; show it as metrics, table and figure."""
    training = config.training
    rows = mixed.drawn(training.steps * training.batch_size)
    write_whole(out.dir / MIX_FILE, json.dumps(rows, indent=2) + "\n")
    out.count(**{f"mix_tokens_{row['source']}": row["tokens"] for row in rows})
    out.metric(**{f"mix_epochs_{row['source']}": row["epochs"] for row in rows})
    out.table("mix", rows)
    tokens = {row["source"]: row["tokens"] for row in rows}
    out.figure("mix", figures.bars(tokens, "What was read of each source", "tokens"))


def mix_contract(artifact: Artifact) -> Iterator[str]:
    """What was drawn adds up to the windows of the run, and each source has its share of them, to the last window."""
    path = artifact.path / MIX_FILE
    if not path.exists():
        return
    rows = json.loads(path.read_text())
    draws = artifact.counts["steps"] * artifact.manifest.payload["config"]["training"]["batch_size"]
    for name, taken in (("windows", draws), ("tokens", artifact.counts["tokens"])):
        if (drawn := sum(row[name] for row in rows)) != taken:
            yield f"{MIX_FILE} accounts for {drawn:,} {name}, but the training took {taken:,}."
    for row in rows:
        if abs(row["windows"] - row["wanted"] * draws) >= 1:
            yield (
                f"{MIX_FILE} has {row['windows']:,} windows of {row['source']}, but its share is "
                f"{row['wanted'] * draws:,.1f} of them."
            )
