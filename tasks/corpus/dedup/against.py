"""Earlier artifacts that a run is deduplicated against: checked, and indexed without their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_lake.store.lake import Artifact
from data_lake.tables.documents import shards
from tasks.corpus.dedup.config import DedupConfig
from tasks.corpus.dedup.sign import scheme, signed_rows
from tasks.stage import PermanentError

REMOVED_BITS = "removed.bits"  # one bit for each document of signatures/, in order: 1 if it is not in documents/
_FORMER_NAME = "gone.bits"  # name of the same file in artifacts made by an older textmill


@dataclass(frozen=True)
class SignedShard:
    """A signed shard of an earlier artifact: its files, and the index of its first document in the artifact's bits."""

    signatures: Path
    shingles: Path
    removed: Path
    offset: int


def signed_shards(artifacts: Sequence[Artifact]) -> list[SignedShard]:
    """Return all signed shards of the artifacts, in order."""
    found = []
    for artifact in artifacts:
        offset = 0
        for path in shards(artifact.path / "signatures"):
            shingles = artifact.path / "shingles" / f"{path.stem}.u32"
            found.append(SignedShard(path, shingles, removed_bits(artifact.path), offset))
            offset += signed_rows(path)
    return found


def removed_bits(artifact: Path) -> Path:
    """Return the file that says which documents a dedup artifact removed. artifact: the artifact's folder."""
    path, former = artifact / REMOVED_BITS, artifact / _FORMER_NAME
    return former if former.exists() else path


def require_signed(config: DedupConfig, artifact: Artifact) -> None:
    """Raise PermanentError if this run's documents cannot be compared with those of an earlier artifact."""
    import pyarrow.parquet as pq

    if not removed_bits(artifact.path).exists() or not (artifact.path / "shingles").is_dir():
        raise PermanentError(
            f"against names {artifact.name}, which has no shingle sets: build it with dedup.store_shingles: true."
        )
    wanted = scheme(config.shingle_words, config.bands * config.rows, config.seed)
    for path in shards(artifact.path / "signatures"):
        metadata = pq.read_schema(path).metadata or {}
        found = {key: metadata.get(key.encode(), b"").decode() for key in wanted}
        if found != wanted:
            raise PermanentError(
                f"against names {artifact.name}, whose signatures were made with {found}, but this run makes {wanted}: "
                "use the same shingle_words, seed and bands times rows, and rebuild artifacts of an older textmill."
            )
