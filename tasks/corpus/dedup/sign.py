"""One pass over the text: each document's digest, shingle set and signature, so that decisions need no text later.

`sign_shard` writes the files that later runs may compare with: signatures/part-*.parquet and shingles/part-*.u32 of the
artifact. `index_shard` turns a signed shard, of this run or of an earlier artifact, into sorted runs for the levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.store.files import whole_file, write_whole
from data_lake.tables.arrow_columns import fixed_column, fixed_values, text_bytes, text_digests
from data_lake.tables.documents import write_parquet
from data_lake.tables.runs import write_run
from tasks.corpus.dedup import signatures
from tasks.corpus.dedup.corpus import FACTS, UNDATED, Part, Removed
from tasks.corpus.dedup.reuse import Reusable, Signed
from tasks.corpus.dedup.shingles import digests, shingle_sets

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1024  # documents at a time: about 3 MB of text, which fit in a core's cache
REFINE = 16  # number of signature values whose low bytes split large buckets


@dataclass(frozen=True)
class SignJob:
    """Sign one shard of documents: its files, and the shingles and permutations to use."""

    documents: Path
    signatures: Path
    shingles: Path
    number: int
    shingle_words: int
    permutations: int
    seed: int
    compiled: bool
    reused: Path  # file with the decimal number of its texts that had been signed before
    reuse_from: Path | None = None  # an artifact with the same config, whose texts need not be signed again ...
    text_index: Path | None = None  # ... and their index


@dataclass(frozen=True)
class IndexJob:
    """Index one signed shard: its files, its first document's number, where the runs go, and what `keep` prefers."""

    signed: Path
    shingles: Path | None
    work: Path
    number: int
    first: int
    bands: int
    rows: int
    keep: str
    removed: Path | None  # which documents the shard's earlier artifact removed; None for a shard of this run
    offset: int = 0  # index of the shard's first document in `removed`

    @property
    def part(self) -> Part:
        """The shard as a part of the corpus."""
        count = signed_rows(self.signed)
        names = self.work / "names" / f"part-{self.number:05d}.bin"
        return Part(
            self.number, self.first, count, self.work / "facts" / f"part-{self.number:05d}.npy", names, self.shingles
        )

    def run(self, kind: str) -> Path:
        """The shard's run of one kind: bands, exact or urls."""
        return self.work / kind / f"part-{self.number:05d}.run"


def scheme(shingle_words: int, permutations: int, seed: int) -> dict[str, str]:
    """Return the settings that two signatures must share to be comparable; they are stored in the files' metadata."""
    return {
        "scheme": "affine32",
        "seed": str(seed),
        "permutations": str(permutations),
        "shingle_words": str(shingle_words),
        "folding": "nfkc_casefold, typography",  # data_lake.text.folding; with another folding the words differ
    }


def sign_shard(job: SignJob) -> None:
    """Write the digests and signatures of a shard, and its shingle sets beside them.

    Texts that an earlier artifact has are not signed again. The signature column holds the little-endian uint32 values
    that datasketch calls `hashvalues`. The sets are stored one after another in a file of little-endian uint32, each
    sorted and distinct, with `n_shingles` values per document.
    """
    import pyarrow as pa

    params = signatures.permutations(job.permutations, job.seed)
    schema = pa.schema(
        [
            pa.field("doc_id", pa.string(), nullable=False),
            pa.field("url", pa.string()),
            pa.field("fetched_at", pa.timestamp("us", tz="UTC")),
            pa.field("quality", pa.float64()),
            pa.field("n_bytes", pa.int64(), nullable=False),
            pa.field("text_digest", pa.binary(16), nullable=False),
            pa.field("digest", pa.binary(16), nullable=False),
            pa.field("n_shingles", pa.int64(), nullable=False),
            pa.field("signature", pa.binary(4 * job.permutations), nullable=False),
        ],
        metadata=scheme(job.shingle_words, job.permutations, job.seed),
    )
    tables, reused = [schema.empty_table()], 0
    reusable = Reusable(job.reuse_from, job.text_index)
    with whole_file(job.shingles) as file:
        for batch in batches(job.documents, [*schema.names[:5], "text"]):
            told = pa.array(text_digests(batch.column("text")), pa.binary(16))
            shard, row = reusable.find(fixed_values(told, "<u8"))
            new = np.flatnonzero(shard < 0)
            texts = batch.column("text") if len(new) == len(told) else batch.column("text").take(pa.array(new))
            signed = reusable.merge(_sign(texts, job, params), shard, row)
            signed.shingles.astype("<u4").tofile(file)
            columns = [
                *(batch.column(name) for name in schema.names[:5]),
                told,
                fixed_column(signed.digests),
                pa.array(np.diff(signed.begins)),
                fixed_column(signed.signatures),
            ]
            tables.append(pa.table(columns, schema=schema))
            reused += len(told) - len(new)
    write_whole(job.reused, str(reused))
    write_parquet(job.signatures, pa.concat_tables(tables))


def _sign(texts: pa.Array, job: SignJob, params: np.ndarray) -> Signed:
    values, begins = shingle_sets(texts, job.shingle_words, compiled=job.compiled)
    signed = signatures.signatures(values, begins, params, compiled=job.compiled)
    told = b"".join(digests(texts, compiled=job.compiled))
    return Signed(np.frombuffer(told, "<u8").reshape(-1, 2), signed.astype("<u4"), values, begins)


def index_shard(job: IndexJob) -> None:
    """Write the shard's facts and names, and its runs: (band key, document), (digest, document), (URL, document)."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    part, facts, names = job.part, [np.empty(0, FACTS)], 0
    keys: dict[str, list[np.ndarray]] = {"bands": [], "exact": [], "urls": []}
    begin, first = 0, job.first
    removed = None if job.removed is None else Removed(0, job.removed)
    with whole_file(part.names) as file, pq.ParquetFile(job.signed) as parquet:
        for batch in parquet.iter_batches(batch_size=1 << 14):
            numbers = np.arange(first, first + batch.num_rows, dtype=np.uint64)
            kept = np.ones(len(numbers), dtype=np.bool_)
            if removed is not None:
                kept = ~removed[numbers - np.uint64(first_of(job))]
            sizes = batch.column("n_shingles").to_numpy().astype(np.uint64)
            signed = fixed_values(batch.column("signature"), "<u4")
            doc_ids, urls = (batch.column(name).cast(pa.large_string()) for name in ("doc_id", "url"))
            urls = urls.fill_null("")
            named = pc.binary_join_element_wise(doc_ids, urls, pa.scalar("\0", pa.large_string()))
            text, ends = text_bytes(named)
            found = np.zeros(len(numbers), dtype=FACTS)
            found["id"] = _ids(doc_ids)
            found["rank"] = _ranks(batch, found["id"], job.keep if removed is None else None)
            found["fetched"] = _int64(batch.column("fetched_at"), missing=UNDATED)
            found["size"] = sizes
            found["begin"] = begin + np.cumsum(sizes) - sizes
            found["name_size"] = np.diff(ends)
            found["name"] = names + ends[:-1]
            every = max(1, signed.shape[1] // REFINE)
            refine = signed[:, ::every][:, :REFINE].astype(np.uint8)
            found["refine"][:, : refine.shape[1]] = refine
            text.tofile(file)
            facts.append(found)
            begin, names, first = begin + int(sizes.sum()), names + len(text), first + len(numbers)

            with_words = kept & (sizes > 0)
            bands = signatures.band_keys(signed[with_words], job.bands, job.rows)
            keys["bands"].append(np.stack([bands.ravel(), np.tile(numbers[with_words], job.bands)]))
            digest = fixed_values(batch.column("digest"), "<u8")
            keys["exact"].append(np.stack([*digest[kept].T, numbers[kept]]))
            if removed is None:
                keys["urls"].append(_url_keys(urls, numbers))
    for kind, made in keys.items():
        columns = 2 if kind == "bands" else 3
        write_run(job.run(kind), np.concatenate([np.empty((columns, 0), np.uint64), *made], axis=1))
    with whole_file(part.facts) as out:  # written last: its existence says that the shard is indexed
        np.save(out, np.concatenate(facts))
    pa.default_memory_pool().release_unused()  # the pool keeps 150 MB for the next shard, which later steps could use


def first_of(job: IndexJob) -> int:
    """Return the number of the first document of the job's artifact."""
    return job.first - job.offset


def batches(documents: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one shard, a thousand at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(documents) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)


def signed_rows(path: Path) -> int:
    """Return how many documents a signed shard has."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def band_runs(work: Path, kind: str) -> list[Path]:
    """Return the runs of one kind that `index_shard` wrote."""
    return sorted((work / kind).glob("part-*.run"))


def _ranks(batch: pa.RecordBatch, ids: np.ndarray, keep: str | None) -> np.ndarray:
    """Return each document's rank: 28 bits for what `keep` asks for, 28 bits of its length, and 8 of its id.

    The smaller rank is preferred. Documents of earlier artifacts (keep is None) come before all others. The bits of
    the id only spread documents of equal length, so that no range of ranks is too large for memory.
    """
    top = (1 << 28) - 1
    n = batch.num_rows
    if keep is None:
        asked = np.zeros(n, dtype=np.uint64)
    elif keep == "longest":
        asked = np.ones(n, dtype=np.uint64)
    elif keep == "best_quality":
        quality = batch.column("quality").to_numpy(zero_copy_only=False)
        steps = np.round((1 - np.clip(np.nan_to_num(quality, nan=0.0), 0, 1)) * (top - 2)).astype(np.uint64)
        asked = np.where(np.isnan(quality), np.uint64(top), steps + np.uint64(1))
    else:
        never = -1
        minutes = np.maximum(_int64(batch.column("fetched_at"), missing=never) // 60_000_000, never)
        order = minutes + 1 if keep == "oldest" else top - 1 - minutes
        asked = np.where(minutes < 0, top, np.clip(order, 1, top - 1)).astype(np.uint64)
    length = top - np.minimum(batch.column("n_bytes").to_numpy(), top)
    return asked << np.uint64(36) | length.astype(np.uint64) << np.uint64(8) | ids >> np.uint64(56)


def _ids(doc_ids: pa.Array) -> np.ndarray:
    """Return doc_ids as numbers: textmill's 16 hex digits keep their order; any other id is hashed."""
    import xxhash

    data, begins = text_bytes(doc_ids)
    ids = np.zeros(len(doc_ids), dtype=np.uint64)
    ours = np.diff(begins) == 16
    digits = _HEX[data[begins[:-1][ours, None] + np.arange(16)]]
    for place in range(16):
        ids[ours] = ids[ours] << np.uint64(4) | digits[:, place]
    ours[ours] = (digits < 16).all(axis=1)
    for i in np.flatnonzero(~ours).tolist():
        ids[i] = xxhash.xxh3_64_intdigest(data[begins[i] : begins[i + 1]].tobytes())
    return ids


_HEX = np.full(256, 16, dtype=np.uint64)
_HEX[list(b"0123456789abcdef")] = np.arange(16)


def _url_keys(urls: pa.Array, numbers: np.ndarray) -> np.ndarray:
    """Return (128 bits of the canonical URL, document) for those that have one: uint64[3, n].

    The canonical URL that a page declares is not used: many sites declare their front page on every page.
    """
    import xxhash

    from tasks.corpus.crawl.urls import canonical

    data, begins = text_bytes(urls)
    there = np.flatnonzero(np.diff(begins))
    plain = are_canonical(urls)
    hashed = []
    for i in there.tolist():
        url = data[begins[i] : begins[i + 1]].tobytes()
        if not plain[i]:
            url = (canonical(url.decode("utf-8", "replace")) or "").encode() or url
        hashed.append(xxhash.xxh3_128_digest(url))
    return np.stack([*np.frombuffer(b"".join(hashed), dtype="<u8").reshape(-1, 2).T, numbers[there]])


def are_canonical(urls: pa.Array) -> np.ndarray:
    """Return which URLs `canonical` would certainly not change; it takes 25 times as long as this test: bool[n]."""
    import pyarrow.compute as pc

    name = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
    plain = rf"\Ahttps?://(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*/(?:{name}/)*(?:{name})?\z"
    return np.asarray(pc.match_substring_regex(urls, plain).to_numpy(zero_copy_only=False))


def _int64(column: pa.Array, *, missing: int) -> np.ndarray:
    import pyarrow as pa

    return np.asarray(column.cast(pa.int64()).fill_null(missing).to_numpy(zero_copy_only=False), dtype=np.int64)
