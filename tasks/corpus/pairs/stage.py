"""The pairs stage: reads pairs of texts from files and holds some out; each row is used or has a reason why not."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from data_lake.reading.ledger import Tally
from data_lake.store.fingerprint import file_sha256
from data_lake.tables.documents import ShardWriter, doc_id, split_of, write_parquet
from data_lake.tables.draws import hash_draw
from tasks.corpus.pairs.config import PairsConfig
from tasks.corpus.pairs.preflight import check
from tasks.corpus.pairs.reading import pair_files, read_pairs
from tasks.corpus.pairs.sides import Pair
from tasks.corpus.splits import pair_problems, split_problems, word_key
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.rejected import Rejected

PAIRS = "pairs.parquet"
BROKEN = "broken row"


def sources(config: PairsConfig) -> str | None:
    """Return a fingerprint of the files' contents, so that edited pairs are other pairs, wherever the files are."""
    digest = hashlib.sha256()
    for path in pair_files(config.data):
        digest.update(f"{path.name}\0{file_sha256(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that pairs.parquet has as many rows as counted, some to learn from and some held out."""
    yield from pair_problems(artifact, PAIRS)
    yield from split_problems(artifact)


@stage(makes=kinds.Pairs, version=1, contract=contract, sources=sources, check=check)
def pairs(config: PairsConfig, out: Output) -> None:
    """Write the pairs of the files, each with its split, and what was put aside with the reason."""
    tally, rejected = Tally("pairs"), Rejected(out, BROKEN)
    first: dict[Pair, str] = {}
    for path in pair_files(config.data):
        for number, found in enumerate(read_pairs(path, config.source, config.target), start=1):
            out.progress(number, None, "rows", path.name)
            pair = found.pair
            if pair is None:
                tally.remove(BROKEN, len(found.raw.encode()))
                rejected.add(BROKEN, found.place, found.reason, found.raw)
            elif (before := first.setdefault(pair, found.place)) != found.place:
                tally.remove("exact duplicate", pair.n_bytes)
                rejected.add("exact duplicate", found.place, f"the same as {before}", pair.source)
            elif pair.source == pair.target and not config.keep_identical:
                tally.remove("identical texts", pair.n_bytes)
                rejected.add("identical texts", found.place, "source and target are the same", pair.source)
    kept = [pair for pair in first if config.keep_identical or pair.source != pair.target]
    split = _split(config, kept, tally)
    if len(split) < 2:
        raise PermanentError(
            f"Of {', '.join(config.data)} {'only one pair' if split else 'no pair'} can be used, and at least two are "
            f"needed, one to learn and one to measure on. {rejected.summary() or 'Nothing was put aside.'}"
        )
    rejected.write(out.warning)
    _write(out, [(pair, split[pair], first[pair]) for pair in kept if pair in split])
    for pair in split:
        tally.keep(pair.n_bytes)
    out.ledger(tally.ledger())
    counts = Counter(split.values())
    out.count(
        pairs=counts["train"],
        validation_pairs=counts["val"],
        rejected=len(rejected.rows),
        documents=2 * len(split),
        train_documents=2 * counts["train"],
        val_documents=2 * counts["val"],
        test_documents=0,
    )
    rows = [{"source": pair.source[:500], "target": pair.target[:500], "split": split[pair]} for pair in split]
    out.table("pairs", rows[:20])


def _split(config: PairsConfig, kept: list[Pair], tally: Tally) -> dict[Pair, str]:
    """Return the split of each pair that is used; equal sources have the same, whatever their case and punctuation."""
    split: dict[Pair, str] = {}
    learned = 0
    for pair in sorted(kept, key=lambda pair: hash_draw(pair.source, pair.target)):
        name = hashlib.sha256(word_key(pair.source).encode()).hexdigest()[:16]
        place = split_of(name, config.validation, 0.0)
        if place == "train" and learned == config.max_pairs:
            tally.remove("beyond max_pairs", pair.n_bytes)
            continue
        learned += place == "train"
        split[pair] = place
    for missing in ("val", "train"):  # of few pairs, the hash may choose none or all
        if split and missing not in split.values():
            words = word_key(next(reversed(split)).source)
            moved = [pair for pair in split if word_key(pair.source) == words]
            if len(split) > len(moved) > 0:
                split |= dict.fromkeys(moved, missing)
            elif len(moved) > 1:
                raise PermanentError(
                    f"All {len(split):,} pairs have the same source, {moved[0].source[:80]!r}; some other is needed to "
                    "measure what is learned."
                )
    return split


def _write(out: Output, rows: list[tuple[Pair, str, str]]) -> None:
    """Write the pairs as a table, and each of their texts as a document."""
    import pyarrow as pa

    from data_lake.tables import schemas

    table: list[dict[str, Any]] = [
        {"source": pair.source, "target": pair.target, "split": split, "place": place} for pair, split, place in rows
    ]
    write_parquet(out.dir / PAIRS, pa.Table.from_pylist(table, schema=schemas.PAIRS))
    with ShardWriter(out.dir / "documents", schemas.CORPUS) as documents:
        for pair, split, place in rows:
            for side, text in (("source", pair.source), ("target", pair.target)):
                file = place.rpartition("#")[0]
                name = doc_id(record_id=f"{place}.{side}", source=file, payload=text)
                size = len(text.encode())
                documents.write({"doc_id": name, "source": file, "text": text, "n_bytes": size, "split": split})
