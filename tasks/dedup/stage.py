"""The dedup stage: exact copies, then near-duplicates that MinHash nominates and true Jaccard similarity confirms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

from data_lake.documents import count_rows, documents_fingerprint, shard_path, shards, write_parquet
from data_lake.ledger import Amount, Tally
from tasks import figures
from tasks.corpus_figures import show_corpus
from tasks.dedup import decisions, index, signatures
from tasks.dedup.decisions import Decision
from tasks.dedup.index import Index, SignJob
from tasks.shards import map_shards, workers_for
from tasks.stage import Artifact, Execution, Output, StageConfig, stage

SAMPLE_CHARACTERS = 1000


class DedupConfig(StageConfig):
    """How alike two documents must be for one of them to go."""

    exact: bool = Field(True, description="Remove documents whose text is the same up to spacing and Unicode form")
    near: bool = Field(True, description="Remove near-duplicates: MinHash nominates, true Jaccard similarity decides")
    shingle_words: int = Field(
        5,
        ge=1,
        le=32,
        description="Words per shingle; two documents are as alike as their sets of shingles. 2 words with a threshold "
        "of 0.7 also finds lightly edited copies",
    )
    threshold: float = Field(
        0.8, gt=0, le=1, description="Jaccard similarity of the shingle sets from which two documents are duplicates"
    )
    bands: int = Field(
        20,
        ge=1,
        le=256,
        description="Bands of the signature; documents that agree in a whole band are compared. 20 bands of 6 values "
        "find 99.8 % of the pairs at 0.8",
    )
    rows: int = Field(6, ge=1, le=64, description="Signature values per band; more of them nominate fewer wrong pairs")
    max_compared: int = Field(
        200,
        ge=1,
        description="Kept documents that a document is compared with at most: of each bucket the nearest in length, of "
        "all of them those whose signatures agree most",
    )
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the MinHash permutations")
    workers: int = Execution(0, ge=0, description="Processes that sign shards; 0 = by cores and size of the corpus")


def contract(artifact: Artifact) -> Iterator[str]:
    """Rows agree with the counts: nothing lost between documents, removed and the decisions."""
    import pyarrow.parquet as pq

    counts = artifact.counts
    kept, removed = count_rows(artifact.path / "documents"), count_rows(artifact.path / "removed")
    decided = pq.read_metadata(artifact.path / "duplicates.parquet").num_rows
    signed = count_rows(artifact.path / "signatures")
    if kept != counts["documents"]:
        yield f"documents/ has {kept:,} rows, but the stage counted {counts['documents']:,} kept documents."
    if removed != counts["exact_duplicates"] + counts["near_duplicates"]:
        yield (
            f"removed/ has {removed:,} rows, but the stage counted {counts['exact_duplicates']:,} exact and "
            f"{counts['near_duplicates']:,} near-duplicates."
        )
    if decided != counts["decisions"]:
        yield f"duplicates.parquet has {decided:,} rows, but the stage counted {counts['decisions']:,} decisions."
    if signed != kept + removed:
        yield f"{signed:,} documents were read, but {kept:,} kept and {removed:,} removed are {kept + removed:,}."
    if not kept:
        yield "No document is left. Of duplicates one always stays, so nothing came in: look at the clean stage."


@stage(
    version=1,
    code=["tasks.dedup", "data_lake.text_units", "data_lake.documents", "data_lake.schemas"],
    contract=contract,
    content=documents_fingerprint,
)
def dedup(config: DedupConfig, out: Output, clean: Artifact) -> None:
    """Of each group of duplicates keep the longest document; write down every decision."""
    documents = clean.path / "documents"
    known = _sign(config, out, documents)
    order = decisions.preference(known.n_bytes, known.doc_ids)

    exact = decisions.exact_duplicates(known.digests, order) if config.exact else []
    near: list[Decision] = []
    if config.near:
        exact, near = _near_duplicates(config, out, documents, known, order, exact)

    reasons = {decision.document: ("exact_duplicate", decision) for decision in exact}
    reasons |= {decision.document: ("near_duplicate", decision) for decision in near if decision.removed}
    _write_decisions(out.dir / "duplicates.parquet", known, exact, near)
    for number in range(len(shards(documents))):
        _write_shard(config, out.dir, documents, number, known, reasons)
    _report(out, clean, known, exact, near, reasons)


def _sign(config: DedupConfig, out: Output, documents: Path) -> Index:
    """Sign every shard that an earlier attempt has not signed, and return what is known of all documents."""
    folder = out.dir / "signatures"
    count = len(shards(documents))
    jobs = [
        SignJob(documents, folder, number, config.shingle_words, config.bands * config.rows, config.seed)
        for number in range(count)
        if not shard_path(folder, number).exists()
    ]
    done = count - len(jobs)
    workers = workers_for(shards(documents), config.workers)
    for _ in map_shards(index.sign_shard, jobs, workers=workers):
        done += 1
        out.progress(done, count, "shards", "signed")
    return index.read_index(folder)


def _near_duplicates(
    config: DedupConfig, out: Output, documents: Path, known: Index, order: np.ndarray, exact: list[Decision]
) -> tuple[list[Decision], list[Decision]]:
    """Decide on the documents that share a bucket with another one; return the exact and the near decisions.

    Exact copies have the words of their original and share its fate, so they are not compared.
    """
    copies = np.zeros(len(known), dtype=bool)
    copies[[decision.document for decision in exact]] = True
    # without a word there is nothing to be alike in
    order = order[(known.n_shingles[order] > 0) & ~copies[order]]
    keys = signatures.band_keys(known.signatures[order], config.bands, config.rows)
    buckets = np.full((config.bands, len(known)), -1, dtype=np.int64)
    buckets[:, order] = decisions.buckets_of(keys)
    nominated: np.ndarray = np.any(buckets >= 0, axis=0)
    out.info(f"{int(nominated.sum()):,} of {len(known):,} documents share a band with another one; comparing them.")
    wanted = nominated.copy()
    for decision in exact:
        wanted[decision.document] = nominated[decision.partner]
    sets = index.shingle_sets(documents, wanted, config.shingle_words)
    near = decisions.near_duplicates(
        buckets,
        order[nominated[order]],
        known.signatures,
        sets.__getitem__,
        threshold=config.threshold,
        max_compared=config.max_compared,
    )
    return decisions.follow(exact, list(near), sets.__getitem__)


def _write_decisions(path: Path, known: Index, exact: list[Decision], near: list[Decision]) -> None:
    import pyarrow as pa

    from data_lake.schemas import DUPLICATES

    rows = [
        {
            "doc_id": known.doc_ids[decision.document],
            "partner_id": known.doc_ids[decision.partner],
            "method": method,
            "score": decision.score,
            "removed": decision.removed,
            "url": known.urls[decision.document],
            "partner_url": known.urls[decision.partner],
        }
        for method, made in (("exact", exact), ("minhash", near))
        for decision in made
    ]
    write_parquet(path, pa.Table.from_pylist(rows, schema=DUPLICATES))


def _write_shard(
    config: DedupConfig,
    folder: Path,
    documents: Path,
    number: int,
    known: Index,
    reasons: Mapping[int, tuple[str, Decision]],
) -> None:
    """Write the kept and the removed documents of one input shard, unless an earlier attempt has."""
    import pyarrow as pa

    from data_lake.schemas import DOCUMENTS, REMOVED

    kept_path, removed_path = shard_path(folder / "documents", number), shard_path(folder / "removed", number)
    if kept_path.exists() and removed_path.exists():
        return
    first = int(np.searchsorted(known.shard, number))
    kept, removed = [DOCUMENTS.empty_table()], []
    for batch in index.batches(documents, number, DOCUMENTS.names):
        stays = [first + k not in reasons for k in range(batch.num_rows)]
        kept.append(pa.Table.from_batches([batch]).filter(pa.array(stays)).cast(DOCUMENTS))
        for k in np.flatnonzero(~np.array(stays, dtype=bool)).tolist():
            reason, decision = reasons[first + k]
            text = batch.column("text")[k].as_py()
            removed.append(
                {
                    "doc_id": known.doc_ids[first + k],
                    "url": known.urls[first + k],
                    "source": batch.column("source")[k].as_py(),
                    "reason": reason,
                    "value": decision.score,
                    "threshold": config.threshold if reason == "near_duplicate" else 1.0,
                    "detail": f"of {known.urls[decision.partner] or known.doc_ids[decision.partner]}",
                    "text": text[:SAMPLE_CHARACTERS],
                    "n_bytes": int(known.n_bytes[first + k]),
                }
            )
        first += batch.num_rows
    write_parquet(removed_path, pa.Table.from_pylist(removed, schema=REMOVED))
    write_parquet(kept_path, pa.concat_tables(kept))


def _report(
    out: Output,
    clean: Artifact,
    known: Index,
    exact: list[Decision],
    near: list[Decision],
    reasons: Mapping[int, tuple[str, Decision]],
) -> None:
    """Account for every document, count the decisions, and show some of them."""
    tally = Tally()
    for i, n_bytes in enumerate(known.n_bytes.tolist()):
        if i in reasons:
            tally.remove(reasons[i][0], n_bytes)
        else:
            tally.keep(n_bytes)
    ledger = tally.ledger(_kept_by(clean))
    out.ledger(ledger)
    confirmed = sum(decision.removed for decision in near)
    out.count(
        documents=len(known) - len(reasons),
        bytes=int(known.n_bytes.sum()) - sum(int(known.n_bytes[i]) for i in reasons),
        exact_duplicates=len(exact),
        near_duplicates=confirmed,
        decisions=len(exact) + len(near),
        not_confirmed=len(near) - confirmed,
    )
    out.metric(duplicate_fraction=len(reasons) / max(1, len(known)))
    out.figure("documents", figures.funnel({"dedup": ledger}))
    show_corpus(out)
    if near:
        scores = [decision.score for decision in near]
        out.figure("jaccard", figures.histogram(scores, "Similarity of compared documents", "Jaccard", log=False))
    shown = sorted((d for d in near if d.removed), key=lambda d: d.score)[:20]
    if shown:
        out.table(
            "near_duplicates",
            [
                {
                    "removed": known.urls[d.document] or known.doc_ids[d.document],
                    "kept": known.urls[d.partner] or known.doc_ids[d.partner],
                    "jaccard": round(d.score, 4),
                }
                for d in shown
            ],
        )


def _kept_by(clean: Artifact) -> Amount | None:
    """Return what the stage before says it kept, so that a document lost on the way shows in the ledger."""
    ledger = clean.manifest.ledger
    return Amount(**ledger["kept"]) if ledger else None
