"""The decontaminate stage: finds benchmark items in training documents, and training text in held-out ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.tables.documents import count_rows, documents_fingerprint, shard_path, shards
from data_lake.tables.text_index import write_text_index
from tasks.corpus.contamination.judge import Contamination, judge
from tasks.corpus.decontaminate import overlap, report
from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.corpus.decontaminate.items import benchmark_files, read_items
from tasks.corpus.decontaminate.preflight import check
from tasks.corpus.decontaminate.reuse import HELD_OUT, HITS, SCAN, write_since
from tasks.corpus.decontaminate.rewrite import Evidence, RewriteJob, rewrite_shard
from tasks.corpus.decontaminate.scan import ScanJob, load_index, read_shard, read_texts, scan_shard, write_items
from tasks.corpus.splits import split_problems
from tasks.stage import Artifact, Output, kinds, stage
from tasks.stage.workers import map_shards, workers_for

if TYPE_CHECKING:
    from tasks.corpus.contamination.index import NgramIndex


def sources(config: DecontaminateConfig) -> str | None:
    """Fingerprint of the benchmark files; None if no benchmark is looked for."""
    paths = benchmark_files(config)
    if not paths:
        return None
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.parent.name}/{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def content(artifact: Path) -> str:
    """Fingerprint of what the following stages read: the documents, and which of them are held out.

    It leaves out what was found: a benchmark that is only reported, or is not found at all, rebuilds no model.
    """
    return documents_fingerprint(artifact, also=["split"])


def contract(artifact: Artifact) -> Iterator[str]:
    """Rows agree with the counts, every document has a split, and something is left."""
    import pyarrow.parquet as pq

    counts = artifact.counts
    kept, removed = count_rows(artifact.path / "documents"), count_rows(artifact.path / "removed")
    for folder, found, counted in (("documents", kept, "documents"), ("removed", removed, "removed")):
        if found != counts[counted]:
            yield f"{folder}/ has {found:,} rows, but the stage counted {counts[counted]:,}."
    for name in ("contamination", "items", "overlap"):
        rows = pq.read_metadata(artifact.path / f"{name}.parquet").num_rows
        if rows != counts[f"{name}_rows"]:
            yield f"{name}.parquet has {rows:,} rows, but the stage counted {counts[f'{name}_rows']:,}."
    yield from split_problems(artifact)
    if not kept:
        yield "No document is left: every one has text of a benchmark; look at contamination.parquet."


@stage(
    makes=kinds.Corpus,
    version=1,
    contract=contract,
    content=content,
    sources=sources,
    check=check,
    reuses=True,
)
def decontaminate(
    config: DecontaminateConfig, out: Output, documents: kinds.Documents, benchmarks: kinds.Benchmarks | None = None
) -> None:
    """Find benchmark items in the documents and cut them out of training; decide which documents are held out, and
    measure how much of them is in training too.

    `contaminated_fraction` is the share of the benchmark items that training documents contained; `held_out_overlap` is
    the mean share of a held-out document's n-grams that training documents have too. Lower is better.
    """
    items = read_items(config, benchmarks.path if benchmarks else None)
    write_items(out.work / "items.json", items)
    index = load_index(out.work / "items.json", config.detection.words, config.detection.shortest)

    folder, scan = documents.path / "documents", out.dir / SCAN
    jobs = [
        ScanJob(folder, number, out.work, scan, config.detection, config.split) for number in range(len(shards(folder)))
    ]
    _each(config, out, "read", read_shard, jobs, out.work / "held_out", folder)
    held_out = overlap.gather(out.work / "held_out", scan / HELD_OUT, config.overlap.max_ngrams)
    if (reuse_from := out.reuse_from) is not None and _looked_for(reuse_from) == (benchmarks and benchmarks.content):
        text_index, since = out.work / f"text-index-{reuse_from.key}", out.work / f"since-{reuse_from.key}.npy"
        write_text_index(text_index, shards(reuse_from.path / SCAN / "texts"))
        write_since(reuse_from.path, scan / HELD_OUT, since)
        jobs = [replace(job, reuse_from=reuse_from.path, text_index=text_index, since=since) for job in jobs]
    _each(config, out, "scanned", scan_shard, jobs, scan / "hits", folder)
    out.metric(documents_reused=sum(int(job.reused.read_text()) for job in jobs))

    shares = overlap.shares(scan / "seen", held_out)
    hits = _read_hits(scan / "hits")
    training = [read_texts(scan, job.number)[1] for job in jobs]
    shard, row = hits["shard"], hits["row"]
    first = np.concatenate([[0], np.cumsum([len(rows) for rows in training])])
    number = first[shard] + row
    learned = np.concatenate([np.empty(0, bool), *training])[number]
    contamination = judge(index, hits["entry"][learned], number[learned], config.detection)

    overlapping = {
        place: share for place, share in shares.items() if share is not None and share >= config.overlap.share
    }
    removing = overlapping if config.overlap.action == "drop_held_out" else {}
    rewrites = [
        RewriteJob(
            folder,
            job.number,
            scan / "texts",
            out.dir,
            out.work / "contamination",
            config,
            _evidence(index, contamination, {name: column[shard == job.number] for name, column in hits.items()}),
            {row: share for (at, row), share in removing.items() if at == job.number},
        )
        for job in jobs
    ]
    _each(config, out, "written", rewrite_shard, rewrites, out.work / "contamination", folder)
    report.write(config, out, documents, index, contamination, shares)


def _looked_for(artifact: Artifact) -> str | None:
    """Return the content of the official benchmarks that an artifact looked for: with others, it found other things."""
    entry = artifact.manifest.inputs.get("benchmarks")
    return None if entry is None else entry.content


def _each(
    config: DecontaminateConfig,
    out: Output,
    verb: str,
    function: Callable[..., None],
    jobs: Sequence[ScanJob] | Sequence[RewriteJob],
    results: Path,
    documents: Path,
) -> None:
    """Process the shards whose result does not exist yet."""
    left = [job for job in jobs if not shard_path(results, job.number).exists()]
    done = len(jobs) - len(left)
    for _ in map_shards(function, left, workers=workers_for(shards(documents), config.workers)):
        done += 1
        out.progress(done, len(jobs), "shards", verb)


def _read_hits(folder: Path) -> dict[str, np.ndarray]:
    """Return the hits of all shards as columns: shard, row, entry, place, length, start, end."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(path) for path in shards(folder)]
    columns = {name: [np.empty(0, np.int64)] for name in HITS}
    for table in tables:
        for name, parts in columns.items():
            parts.append(table.column(name).to_numpy())
    shard = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    return {"shard": shard, **{name: np.concatenate(parts) for name, parts in columns.items()}}


def _evidence(index: NgramIndex, contamination: Contamination, hits: dict[str, np.ndarray]) -> Evidence:
    """Return the hits of one shard that count: those of contaminated items that are not common phrases."""
    item = index.item[hits["entry"]]
    counts = contamination.contaminated[item] & ~contamination.ignored[hits["entry"]]
    columns = {name: column[counts] for name, column in {**hits, "item": item}.items()}
    order = np.lexsort((columns["place"], columns["item"], columns["row"]))
    row, item, entry, place, length, start, end = (
        columns[name][order] for name in ("row", "item", "entry", "place", "length", "start", "end")
    )
    names = {
        number: (index.items[number].benchmark, index.items[number].name, index.ngrams(number))
        for number in np.unique(item).tolist()
    }
    return Evidence(row, item, entry, index.weight[entry], length, place, start, end, names)
