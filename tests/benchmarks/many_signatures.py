"""Many signed documents without their text, and the memory that deciding on them takes: `FOLDER make|decide COUNT`.

Each is a set of 24 shingles; every tenth is that of a document of the shard before (the first shard: of its own) with
one shingle replaced (Jaccard similarity 23/25), so it is known which must go. `decide` prints its peak memory, its
processor seconds and what it found as JSON; it runs in a process of its own, as memory is counted by process.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from tests.memory import peak_megabytes

SHARD = 100_000
SHINGLES = 24
MEMORY_MEGABYTES = 64


def make(folder: Path, count: int) -> None:
    """Write signatures/ and shingles/ of `count` documents, as `sign_shard` does of texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_lake.tables.arrow_columns import fixed_column
    from tasks.corpus.dedup import signatures
    from tasks.corpus.dedup.sign import scheme

    params = signatures.permutations(120, 1)
    for name in ("signatures", "shingles"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(-(-count // SHARD)):
        sets = _sets(number)[: count - number * SHARD]
        rng = np.random.default_rng([1, number])
        signed = signatures.signatures(sets.ravel(), np.arange(len(sets) + 1) * SHINGLES, params, compiled=True)
        sets.tofile(folder / "shingles" / f"part-{number:05d}.u32")
        table = pa.table(
            {
                "doc_id": [f"{value:016x}" for value in rng.integers(0, 2**63, len(sets)).tolist()],
                "url": pa.nulls(len(sets), pa.string()),
                "fetched_at": pa.nulls(len(sets), pa.timestamp("us", tz="UTC")),
                "quality": pa.nulls(len(sets), pa.float64()),
                "n_bytes": rng.integers(500, 5000, len(sets)),
                "digest": pa.FixedSizeBinaryArray.from_buffers(
                    pa.binary(16), len(sets), [None, pa.py_buffer(rng.bytes(16 * len(sets)))]
                ),
                "n_shingles": np.full(len(sets), SHINGLES),
                "signature": fixed_column(signed.astype("<u4")),
            }
        ).replace_schema_metadata(scheme(5, 120, 1))
        path = folder / "signatures" / f"part-{number:05d}.parquet"
        pq.write_table(table, path, compression="none", use_dictionary=False, row_group_size=1 << 14)


def decide(folder: Path) -> dict[str, float]:
    """Run all levels over the signed documents with a budget of MEMORY_MEGABYTES."""
    from data_lake.tables.runs import Runs
    from tasks.corpus.dedup.config import DedupConfig
    from tasks.corpus.dedup.corpus import Corpus, Removed
    from tasks.corpus.dedup.levels import Levels
    from tasks.corpus.dedup.sign import IndexJob, index_shard, signed_rows
    from tasks.corpus.dedup.write import Decided

    config = DedupConfig(memory_megabytes=MEMORY_MEGABYTES)
    work, first, jobs = folder / "work", 0, []
    for number, path in enumerate(sorted((folder / "signatures").iterdir())):
        shingles = folder / "shingles" / f"{path.stem}.u32"
        jobs.append(IndexJob(path, shingles, work, number, first, config.bands, config.rows, config.keep, None))
        first += signed_rows(path)

    def each(function, jobs, what):  # type: ignore[no-untyped-def]
        return [function(job) for job in jobs]

    each(index_shard, jobs, "indexed")
    corpus = Corpus(tuple(job.part for job in jobs))
    levels = Levels(config, corpus, work, Removed(len(corpus)), compiled=True)
    decided = levels.near(Decided(urls=levels.exact("urls"), exact=levels.exact("exact")), each, lambda text: None)
    return {
        "documents": first,
        "removed": len(Runs(decided.near, 4)),
        "compared": len(Runs(decided.compared, 4)),
        "seconds": time.process_time(),
        "megabytes": peak_megabytes(),
    }


def _sets(number: int) -> np.ndarray:
    """Return the sets of a shard, uint32[SHARD, SHINGLES], sorted."""
    sets = np.random.default_rng([0, number]).integers(0, 2**32, (SHARD, SHINGLES), dtype=np.uint32)
    before = np.random.default_rng([0, max(0, number - 1)]).integers(0, 2**32, (SHARD, SHINGLES), dtype=np.uint32)
    sets[-SHARD // 10 :, 1:] = before[: SHARD // 10, 1:]
    return np.sort(sets, axis=1)


if __name__ == "__main__":
    target, action, documents = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if action == "make":
        make(target, documents)
    else:
        print(json.dumps(decide(target)))
