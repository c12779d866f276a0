"""Stored signatures in datasketch: find the documents of a corpus that are similar to a text, without a dedup run.

    from datasketch import MinHashLSH
    from tasks.corpus.dedup.lookup import minhash_of, minhashes

    index = MinHashLSH(num_perm=120, params=(20, 6))
    for doc_id, minhash in minhashes(artifact):
        index.insert(doc_id, minhash)
    index.query(minhash_of("a text", artifact))

datasketch (2.0 or newer) is not a dependency of textmill: install it to use this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.tables.arrow_columns import fixed_values
from data_lake.tables.documents import shards

if TYPE_CHECKING:
    import datasketch


def minhashes(artifact: Path) -> Iterator[tuple[str, datasketch.MinHash]]:
    """Yield (doc_id, MinHash) of every document that a dedup artifact kept; only its signatures are read.

    artifact: the artifact's folder. Raises FileNotFoundError if it holds no signatures.
    """
    import datasketch
    import pyarrow.parquet as pq

    from tasks.corpus.dedup.against import removed_bits
    from tasks.corpus.dedup.corpus import Removed

    removed, first = Removed(0, removed_bits(artifact)), 0
    seed, _ = _scheme(artifact)
    for path in shards(artifact / "signatures"):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["doc_id", "signature"]):
                flags = removed[np.arange(first, first + batch.num_rows, dtype=np.uint64)]
                first += batch.num_rows
                rows = zip(batch["doc_id"].to_pylist(), fixed_values(batch["signature"], "<u4"), flags, strict=True)
                for doc_id, values, is_removed in rows:
                    if not is_removed:
                        hashes = values.copy()
                        yield (
                            doc_id,
                            datasketch.MinHash(num_perm=len(hashes), seed=seed, hashvalues=hashes, scheme="affine32"),
                        )


def minhash_of(text: str, artifact: Path) -> datasketch.MinHash:
    """Return the MinHash of a text, comparable with those of the artifact's documents."""
    import datasketch
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tasks.corpus.dedup.shingles import shingle_sets

    seed, words = _scheme(artifact)
    width = pq.read_schema(shards(artifact / "signatures")[0]).field("signature").type.byte_width // 4
    values, _ = shingle_sets(pa.array([text], pa.large_string()), words, compiled=False)
    made = datasketch.MinHash(num_perm=width, seed=seed, hashfunc=int, scheme="affine32")
    if len(values):
        made.update_batch(values.tolist())
    return made


def _scheme(artifact: Path) -> tuple[int, int]:
    """Return the seed of the permutations and the number of words per shingle."""
    import pyarrow.parquet as pq

    paths = shards(artifact / "signatures")
    if not paths:
        raise FileNotFoundError(
            f"{artifact} has no signatures/part-*.parquet; it is not an artifact of the dedup stage."
        )
    metadata = pq.read_schema(paths[0]).metadata
    return int(metadata[b"seed"]), int(metadata[b"shingle_words"])
