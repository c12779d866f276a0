"""The reports of decontamination: contaminated items, a summary per benchmark, the overlap, and the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.reading.ledger import Amount, Tally
from data_lake.store.files import write_whole
from data_lake.tables.documents import shard_path, shards, write_parquet
from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.corpus.decontaminate.reuse import SCAN, read_splits
from tasks.corpus.splits import count_splits
from tasks.stage import Artifact, Output, figures

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.corpus.contamination.index import NgramIndex
    from tasks.corpus.contamination.judge import Contamination

Shares = Mapping[tuple[int, int], float]


def write(
    config: DecontaminateConfig,
    out: Output,
    dedup: Artifact,
    index: NgramIndex,
    contamination: Contamination,
    shares: Shares,
) -> None:
    """Write contamination.parquet, items.parquet, overlap.parquet and benchmarks.json, the counts and the ledger."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from data_lake.tables.schemas import CONTAMINATION

    pieces = [pq.read_table(path) for path in shards(out.work / "contamination")]
    found = pa.concat_tables([CONTAMINATION.empty_table(), *pieces])
    write_parquet(out.dir / "contamination.parquet", found)
    items = _items(index, contamination)
    write_parquet(out.dir / "items.parquet", items)
    held_out = _overlap(config, out.dir / SCAN / "texts", dedup, shares)
    write_parquet(out.dir / "overlap.parquet", held_out)

    lines = _benchmarks(index, contamination, found)
    write_whole(out.dir / "benchmarks.json", json.dumps(lines, indent=2) + "\n")

    tally = _account(dedup, out)
    ledger = tally.ledger(Amount(**dedup.manifest.ledger["kept"]) if dedup.manifest.ledger else None)
    out.ledger(ledger)
    out.figure("documents", figures.funnel({"decontaminate": ledger}))

    overlapping = int(pc.sum(held_out["overlaps"]).as_py() or 0)
    contaminated = int(contamination.contaminated.sum())
    touched = found.filter(pc.equal(found["split"], "train"))
    out.count(
        documents=ledger.kept.documents,
        bytes=ledger.kept.bytes,
        removed=sum(amount.documents for amount in ledger.removed.values()),
        items=len(index.items),
        contaminated_items=contaminated,
        contaminated_documents=pc.count_distinct(touched["doc_id"]).as_py(),
        cut_documents=pc.count_distinct(found.filter(pc.equal(found["action"], "cut"))["doc_id"]).as_py(),
        held_out_documents=held_out.num_rows,
        overlapping_documents=overlapping,
        contamination_rows=found.num_rows,
        items_rows=items.num_rows,
        overlap_rows=held_out.num_rows,
        **{f"{name}_documents": number for name, number in count_splits(out.dir).items()},
    )
    out.metric(
        contaminated_fraction=contaminated / len(index.items) if index.items else None,
        held_out_overlap=pc.mean(held_out["share"]).as_py(),
    )
    if lines:
        out.table("benchmarks", lines)
        out.info("\n".join(_sentence(line) for line in lines))
    if found.num_rows:
        out.table("passages", found.slice(0, 50).select(["benchmark", "item", "url", "words", "text"]).to_pylist())
    if shared := [share for share in held_out["share"].to_pylist() if share is not None]:
        title = "Held-out documents: share of their n-grams that training has"
        out.figure("overlap", figures.histogram(shared, title, "share", log=False))
        verb = "were removed" if config.overlap.action == "drop_held_out" else "are kept (decontaminate.overlap.action)"
        if overlapping:
            out.info(
                f"{overlapping:,} of {held_out.num_rows:,} held-out documents have {config.overlap.share:.0%} or more "
                f"of their text in training documents too; they {verb}."
            )


def _items(index: NgramIndex, contamination: Contamination) -> pa.Table:
    """Return one row per item: how much of it is in training documents, and whether that makes it contaminated."""
    import pyarrow as pa

    return pa.table(
        {
            "benchmark": pa.array([item.benchmark for item in index.items], pa.string()),
            "item": pa.array([item.name for item in index.items], pa.string()),
            "ngrams": contamination.ngrams,
            "found": contamination.found,
            "fraction": contamination.fraction,
            "documents": contamination.documents,
            "contaminated": contamination.contaminated,
        }
    )


def _overlap(config: DecontaminateConfig, texts: Path, dedup: Artifact, shares: Shares) -> pa.Table:
    """Return one row per held-out document; its share is null if it has fewer words than an n-gram."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for shard, path in enumerate(shards(dedup.path / "documents")):
        table = pq.read_table(path, columns=["doc_id", "url"])
        splits = read_splits(shard_path(texts, shard))
        columns = (table["doc_id"].to_pylist(), table["url"].to_pylist(), splits.to_pylist())
        for row, (name, url, split) in enumerate(zip(*columns, strict=True)):
            if split != "train":
                share = shares.get((shard, row))
                overlaps = share is not None and share >= config.overlap.share
                rows.append({"doc_id": name, "url": url, "split": split, "share": share, "overlaps": overlaps})
    schema = pa.schema(
        [
            pa.field("doc_id", pa.string(), nullable=False),
            pa.field("url", pa.string()),
            pa.field("split", pa.string(), nullable=False),
            pa.field("share", pa.float64()),
            pa.field("overlaps", pa.bool_(), nullable=False),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _benchmarks(index: NgramIndex, contamination: Contamination, found: pa.Table) -> list[dict[str, Any]]:
    """Return one record per benchmark: items, how many are contaminated, n-grams, and documents that contain them."""
    import pyarrow.compute as pc

    lines = []
    for name in dict.fromkeys(item.benchmark for item in index.items):
        here = [number for number, item in enumerate(index.items) if item.benchmark == name]
        entries = slice(int(index.first[here[0]]), int(index.first[here[-1] + 1]))  # a benchmark's items are contiguous
        documents = found.filter(pc.equal(found["benchmark"], name))["doc_id"]
        lines.append(
            {
                "benchmark": name,
                "items": len(here),
                "too_short": int(index.too_short[here].sum()),
                "contaminated": int(contamination.contaminated[here].sum()),
                "fraction": float(contamination.contaminated[here].mean()),
                "documents": int(pc.count_distinct(documents).as_py()),
                "ngrams": int(contamination.ngrams[here].sum()),
                "ngrams_found": int(contamination.found[here].sum()),
                "ngrams_ignored": int(contamination.ignored[entries].sum()),
            }
        )
    return lines


def _sentence(line: Mapping[str, Any]) -> str:
    return (
        f"{line['benchmark']}: {line['contaminated']:,} of {line['items']:,} items ({line['fraction']:.1%}) have "
        f"n-grams in training documents; {line['documents']:,} documents contain passages of them."
    )


def _account(dedup: Artifact, out: Output) -> Tally:
    """Count what was kept, cut and removed, shard by shard, from the files that were written."""
    tally = Tally()
    for source in shards(dedup.path / "documents"):
        written = dict(_columns(out.dir / "documents" / source.name, "doc_id", "n_bytes"))
        removed = dict(_columns(out.dir / "removed" / source.name, "doc_id", "reason"))
        for name, size in _columns(source, "doc_id", "n_bytes"):
            if name in removed:
                tally.remove(removed[name], size)
            elif name in written:
                tally.keep(size, written=written[name])
    return tally


def _columns(path: Path, first: str, second: str) -> Iterator[tuple[Any, Any]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=[first, second])
    return zip(table[first].to_pylist(), table[second].to_pylist(), strict=True)
