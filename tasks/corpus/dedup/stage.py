"""The dedup stage: removes documents of the same URL or text and near-duplicates, and cuts repeated pieces."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.reading.ledger import Amount, Ledger, Tally
from data_lake.tables.documents import count_rows, documents_fingerprint, shard_path, shards
from tasks.corpus.dedup.config import DedupConfig
from tasks.corpus.dedup.preflight import check
from tasks.corpus.figures import show_corpus
from tasks.stage import Artifact, Output, figures, kinds, stage
from tasks.stage.roles import inputs_of
from tasks.stage.workers import map_shards, workers_for

if TYPE_CHECKING:
    from tasks.corpus.dedup.corpus import Corpus
    from tasks.corpus.dedup.write import Decided

KINDS: tuple[Any, ...] = ("paragraphs", "lines")
MEGABYTE = 1 << 20
REASONS = {
    "near_duplicates": "near_duplicate",
    "exact_duplicates": "exact_duplicate",
    "url_duplicates": "url_duplicate",
    "too_little_left": "too_little_left",
}


def contract(artifact: Artifact) -> Iterator[str]:
    """The rows of documents/, removed/ and the decisions agree with the counts: no document is lost."""
    import pyarrow.parquet as pq

    counts = artifact.counts
    kept, removed = count_rows(artifact.path / "documents"), count_rows(artifact.path / "removed")
    decided = pq.read_metadata(artifact.path / "duplicates.parquet").num_rows
    signed = count_rows(artifact.path / "signatures")
    if kept != counts["documents"]:
        yield f"documents/ has {kept:,} rows, but the stage counted {counts['documents']:,} kept documents."
    if removed != sum(counts[name] for name in REASONS):
        told = ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in REASONS)
        yield f"removed/ has {removed:,} rows, but the stage counted {told}."
    if decided != counts["decisions"]:
        yield f"duplicates.parquet has {decided:,} rows, but the stage counted {counts['decisions']:,} decisions."
    if signed != kept + removed:
        yield f"{signed:,} documents were read, but {kept:,} kept and {removed:,} removed are {kept + removed:,}."
    if not kept and not inputs_of("against", artifact.manifest.inputs):
        yield "No document is left. Of duplicates one is always kept, so nothing came in: look at the clean stage."


@stage(
    makes=kinds.Documents,
    version=3,
    contract=contract,
    content=documents_fingerprint,
    check=check,
    reuses=True,
)
def dedup(
    config: DedupConfig, out: Output, documents: kinds.Documents, against: Sequence[kinds.Documents] = ()
) -> None:
    """Keep the preferred document of each group of duplicates, cut repeated pieces, and record every decision.

    `duplicate_fraction` is the share of all documents that were removed, as duplicates or because too little text was
    left; `documents_reused` is the number of documents whose signatures were taken from the previous build.
    """
    from tasks.corpus.dedup.against import require_signed

    for earlier in against:
        require_signed(config, earlier)
    incoming = shards(documents.path / "documents")
    corpus, decided = decide(config, out, incoming, against)
    summaries = _write(config, out, incoming, corpus, decided)
    _report(out, documents, summaries)


def decide(
    config: DedupConfig, out: Output, documents: Sequence[Path], earlier: Sequence[Artifact] = ()
) -> tuple[Corpus, Decided]:
    """Return all documents by number, and what each level decided; only the last level reads the text again.

    documents: the shards, each once. earlier: artifacts of this stage whose documents are preferred to all of these.
    """
    from tasks.corpus.dedup.corpus import Removed
    from tasks.corpus.dedup.levels import Levels
    from tasks.corpus.dedup.shingles import worth_compiling
    from tasks.corpus.dedup.write import Decided

    corpus = _sign(config, out, documents, earlier)
    levels = Levels(config, corpus, out.work, Removed(len(corpus)), worth_compiling(documents))
    each = _runner(config, out, documents)
    decided = Decided(
        urls=levels.exact("urls", newest=True) if config.url else (),
        exact=levels.exact("exact") if config.exact else (),
    )
    if config.near:
        decided = levels.near(decided, each, out.info)
    for kind in KINDS:
        if getattr(config, kind).enabled:
            decided = levels.repeated(decided, kind, documents, each)
    return corpus, decided


def _sign(config: DedupConfig, out: Output, documents: Sequence[Path], earlier: Sequence[Artifact]) -> Corpus:
    """Sign and index every shard that an earlier attempt did not finish, and return the corpus."""
    from data_lake.tables.text_index import write_text_index
    from tasks.corpus.dedup.against import signed_shards
    from tasks.corpus.dedup.corpus import Corpus
    from tasks.corpus.dedup.shingles import worth_compiling
    from tasks.corpus.dedup.sign import IndexJob, SignJob, index_shard, sign_shard, signed_rows

    shingles = (out.dir if config.store_shingles else out.work) / "shingles"
    compiled = worth_compiling(documents)
    reuse_from, text_index = None, None
    if out.reuse_from is not None and config.store_shingles:
        reuse_from, text_index = out.reuse_from.path, out.work / f"text-index-{out.reuse_from.key}"
        write_text_index(text_index, shards(reuse_from / "signatures"))
    jobs = [
        SignJob(
            path,
            shard_path(out.dir / "signatures", number),
            shingles / f"part-{number:05d}.u32",
            number,
            config.shingle_words,
            config.bands * config.rows,
            config.seed,
            compiled,
            out.work / "signed" / f"part-{number:05d}.reused",
            reuse_from,
            text_index,
        )
        for number, path in enumerate(documents)
    ]
    each = _runner(config, out, documents)
    each(sign_shard, [job for job in jobs if not (job.signatures.exists() and job.shingles.exists())], "signed")
    out.metric(documents_reused=sum(int(job.reused.read_text()) for job in jobs))
    first, indexed = 0, []
    earlier_shards = signed_shards(earlier)
    signed: list[tuple[Path, Path, Path | None, int]] = []
    signed += [(shard.signatures, shard.shingles, shard.removed, shard.offset) for shard in earlier_shards]
    signed += [(job.signatures, job.shingles, None, 0) for job in jobs]
    for number, (path, sets, removed, offset) in enumerate(signed):
        indexed.append(
            IndexJob(path, sets, out.work, number, first, config.bands, config.rows, config.keep, removed, offset)
        )
        first += signed_rows(path)
    parts = tuple(job.part for job in indexed)
    each(index_shard, [job for job in indexed if not job.part.facts.exists()], "indexed")
    return Corpus(parts, earlier=len(earlier_shards))


def _runner(
    config: DedupConfig, out: Output, documents: Sequence[Path]
) -> Callable[[Any, Sequence[Any], str], list[Any]]:
    """Return a function that runs jobs in the workers, reports progress, and returns the results in order."""
    workers = workers_for(documents, config.workers)

    def each(function: Callable[[Any], Any], jobs: Sequence[Any], what: str) -> list[Any]:
        results: list[Any] = [None] * len(jobs)
        for done, (number, result) in enumerate(map_shards(function, jobs, workers=workers), start=1):
            results[number] = result
            out.progress(done, len(jobs), "shards", what)
        return results

    return each


def _write(
    config: DedupConfig, out: Output, documents: Sequence[Path], corpus: Corpus, decided: Decided
) -> list[dict[str, Any]]:
    """Write every shard that an earlier attempt did not, and the files for all shards; return each shard's figures."""
    import numpy as np

    from tasks.corpus.dedup.against import REMOVED_BITS
    from tasks.corpus.dedup.corpus import Removed
    from tasks.corpus.dedup.levels import limit_of, of_part
    from tasks.corpus.dedup.write import WriteJob, write_shard

    jobs = [
        WriteJob(
            corpus,
            part,
            number,
            path,
            out.dir,
            out.work / "written",
            of_part(decided, part),
            config.threshold,
            {kind: getattr(config, kind).min_words for kind in KINDS},
            config.min_left_words,
            limit_of(config),
        )
        for number, (part, path) in enumerate(zip(corpus.new_parts, documents, strict=True))
    ]
    _runner(config, out, documents)(write_shard, [job for job in jobs if not job.is_done], "written")
    removed = Removed(len(corpus) - corpus.old)
    for job in jobs:
        removed.add(np.load(job.removed) + np.uint64(job.part.first - corpus.old))
    removed.save(out.dir / REMOVED_BITS)
    _gather_pairs(out, [shard_path(out.work / "written" / "duplicates", job.number) for job in jobs])
    return [json.loads(job.done.read_text()) for job in jobs]


def _gather_pairs(out: Output, paths: Sequence[Path]) -> None:
    """Write the pairs of all shards as one file."""
    import pyarrow.parquet as pq

    from data_lake.store.files import whole_file
    from data_lake.tables.schemas import DUPLICATES

    whole = out.dir / "duplicates.parquet"
    with whole_file(whole) as target, pq.ParquetWriter(target, DUPLICATES, compression="zstd") as writer:
        for path in paths:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=1 << 16):
                    writer.write_batch(batch)


def _report(out: Output, clean: Artifact, summaries: Sequence[dict[str, Any]]) -> None:
    """Account for every document, count the decisions, and show some of them."""
    tally = Tally()
    for summary in summaries:
        tally.add(Ledger.from_dict(summary["ledger"]))
    ledger = tally.ledger(_kept_by(clean))
    out.ledger(ledger)
    removed = {name: ledger.removed.get(reason, Amount()).documents for name, reason in REASONS.items()}
    decisions, not_confirmed, cut = (
        sum(summary[name] for summary in summaries) for name in ("decisions", "not_confirmed", "rewritten_documents")
    )
    out.count(
        documents=ledger.kept.documents,
        bytes=ledger.kept.bytes,
        **removed,
        rewritten_documents=cut,
        decisions=decisions,
        not_confirmed=not_confirmed,
    )
    out.metric(duplicate_fraction=sum(removed.values()) / max(1, ledger.incoming.documents))
    out.figure("documents", figures.funnel({"dedup": ledger}))
    show_corpus(out)
    _show_pairs(out)


def _show_pairs(out: Output, most: int = 1_000_000) -> None:
    """Draw a histogram of the compared pairs' similarities, and show the least similar removed pairs."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found, rows = [], 0
    with contextlib.closing(pq.ParquetFile(out.dir / "duplicates.parquet")) as file:
        for batch in file.iter_batches(
            columns=["method", "score", "removed", "doc_id", "partner_id", "url", "partner_url"]
        ):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.equal(table["method"], "minhash"))
            found.append(table)
            rows += len(table)
            if rows > most:  # enough for a figure
                break
    table = pa.concat_tables(found) if found else None
    if table is None or not len(table):
        return
    scores = table["score"].to_numpy()
    out.figure("jaccard", figures.histogram(scores, "Similarity of compared documents", "Jaccard", log=False))
    shown = table.filter(table["removed"]).sort_by("score").slice(0, 20).to_pylist()
    if shown:
        out.table(
            "near_duplicates",
            [
                {
                    "removed": row["url"] or row["doc_id"],
                    "kept": row["partner_url"] or row["partner_id"],
                    "jaccard": round(row["score"], 4),
                }
                for row in shown
            ],
        )


def _kept_by(clean: Artifact) -> Amount | None:
    """Return what the previous stage says it kept, so that a document lost in between shows in the ledger."""
    ledger = clean.manifest.ledger
    return Amount(**ledger["kept"]) if ledger else None
