"""The mix of sources in pretraining: how much of each is read, logged before training and counted after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_whole
from data_lake.tokens.mix import MixedDataset, MixError, documents_of_split, plan_mix
from tasks.stage import Artifact, Output, PermanentError, figures
from tasks.training.pretrain.base import with_shape_of

if TYPE_CHECKING:
    from tasks.training.pretrain.config import PretrainConfig

MIX_FILE = "mix.json"


def open_mix(config: PretrainConfig, tokens: Artifact, end: int | None) -> MixedDataset:
    """Return the mixed training windows; end: the token that ends a packed document, None if they are joined."""
    training = config.training
    try:
        return MixedDataset(
            tokens.path,
            config.mix.asked(),
            seq_len=config.model.max_seq_len,
            draws=training.steps * training.batch_size,
            temperature=config.mix.temperature,
            seed=training.seed,
            end=end,
        )
    except MixError as error:
        raise PermanentError(f"{error} See pretrain.mix.") from error


def log_shares(out: Output, mixed: MixedDataset) -> None:
    """Log how much of each source will be read."""
    for share in mixed.shares:
        limit = " (as often as it may be)" if share.capped else ""
        out.info(f"mix: {share.name}: {share.share:.1%} of what is read, {share.epochs:.2f} epochs of {share.tokens:,} "
                 f"tokens{limit}")  # fmt: skip


def preview(config: PretrainConfig, inputs: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """Return how much of each source will be read, using only the index of the tokens; [] if there is no mix."""
    if not config.mix.sources:
        return []
    if "base" in inputs:
        config = with_shape_of(inputs["base"], config)
    training = config.training
    try:
        shares, _ = plan_mix(
            documents_of_split(inputs["tokens"].path),
            config.mix.asked(),
            seq_len=config.model.max_seq_len,
            draws=training.steps * training.batch_size,
            temperature=config.mix.temperature,
            packed=config.documents == "separate",
        )
    except MixError as error:
        raise PermanentError(f"{error} See pretrain.mix.") from error
    return [share.row() for share in shares]


def report_mix(config: PretrainConfig, out: Output, mixed: MixedDataset) -> None:
    """Write how much was drawn from each source to mix.json, and report it as metrics, a table and a figure."""
    training = config.training
    rows = mixed.drawn(training.steps * training.batch_size)
    write_whole(out.dir / MIX_FILE, json.dumps(rows, indent=2) + "\n")
    out.count(**{f"mix_tokens_{row['source']}": row["tokens"] for row in rows})
    out.metric(**{f"mix_epochs_{row['source']}": row["epochs"] for row in rows})
    out.table("mix", rows)
    tokens = {row["source"]: row["tokens"] for row in rows}
    out.figure("mix", figures.bars(tokens, "What was read of each source", "tokens"))


def mix_contract(artifact: Artifact) -> Iterator[str]:
    """Check that the draws add up to the run's windows, and that each source has its share to within one window."""
    path = artifact.path / MIX_FILE
    if not path.exists():
        return
    rows = json.loads(path.read_text())
    draws = artifact.counts["steps"] * artifact.manifest.payload["config"]["training"]["batch_size"]
    for name, taken in (("windows", draws), ("tokens", artifact.counts["tokens_read"])):
        if (drawn := sum(row[name] for row in rows)) != taken:
            yield f"{MIX_FILE} accounts for {drawn:,} {name}, but the training took {taken:,}."
    for row in rows:
        if abs(row["windows"] - row["wanted"] * draws) >= 1:
            yield (
                f"{MIX_FILE} has {row['windows']:,} windows of {row['source']}, but its share is "
                f"{row['wanted'] * draws:,.1f} of them."
            )
