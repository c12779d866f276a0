"""Writing the results one shard at a time: the documents kept, the documents removed, and every pair compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.files import write_whole
from data_lake.tables.documents import ShardWriter, shard_path
from data_lake.tables.runs import Runs
from data_lake.text.units import count_words
from tasks.corpus.dedup import repeats
from tasks.corpus.dedup.corpus import Corpus, Part
from tasks.corpus.dedup.repeats import Kind
from tasks.corpus.dedup.sign import batches

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_CHARACTERS = 1000
ROW_GROUP_BYTES = 16 << 20


@dataclass(frozen=True)
class Decided:
    """The runs that hold the decisions of the levels, each sorted by document."""

    urls: tuple[Path, ...] = ()  # (document, the one kept for it)
    exact: tuple[Path, ...] = ()  # (document, the one kept for it)
    near: tuple[Path, ...] = ()  # (document, the one kept for it, values in common, values in either)
    compared: tuple[Path, ...] = ()  # (document, lower-numbered document, values in common, values in either)
    paragraphs: tuple[Path, ...] = ()  # (document, hash)
    lines: tuple[Path, ...] = ()


@dataclass(frozen=True)
class WriteJob:
    """Write the results of one shard: its documents, the decisions on them, and where the files go."""

    corpus: Corpus
    part: Part
    number: int
    documents: Path
    output: Path
    work: Path
    decided: Decided
    threshold: float
    min_words: dict[Kind, int]
    min_left_words: int
    limit: int

    @property
    def done(self) -> Path:
        """The file that holds the shard's ledger and counts once the shard is complete."""
        return self.work / f"part-{self.number:05d}.json"

    @property
    def removed(self) -> Path:
        """The file with the numbers of the removed documents, counted from the shard's first document."""
        return self.work / f"part-{self.number:05d}.npy"

    @property
    def is_done(self) -> bool:
        """Whether an earlier attempt wrote the whole shard."""
        written = (shard_path(self.output / name, self.number) for name in ("documents", "removed"))
        return self.done.exists() and all(path.exists() for path in written)


@dataclass
class Removals:
    """The removed documents of a shard: number (sorted), reason, measured value, and the number of the partner."""

    documents: np.ndarray
    reasons: np.ndarray
    values: np.ndarray
    partners: np.ndarray


def write_shard(job: WriteJob) -> None:
    """Write documents/, removed/ and the pairs of one shard, and finally its ledger and counts."""
    removals = _removals(job)
    names = _names(job.corpus, removals.partners)
    numbers: list[int] = []
    kept_amount, rewritten, cut = Amount(), 0, 0
    removed_amounts: dict[str, Amount] = {}
    from data_lake.tables.schemas import DOCUMENTS, REMOVED

    documents = ShardWriter(job.output / "documents", DOCUMENTS, shard_bytes=float("inf"), first=job.number)
    removed = ShardWriter(job.output / "removed", REMOVED, shard_bytes=float("inf"), first=job.number)
    with documents, removed:
        pending: list[pa.Table] = []
        for first, batch in _numbered(job):
            rows = batch.num_rows
            low, high = np.searchsorted(removals.documents, [first, first + rows]).tolist()
            kept = np.ones(rows, dtype=np.bool_)
            for k in range(low, high):
                i = int(removals.documents[k]) - first
                kept[i] = False
                reason, value = str(removals.reasons[k]), float(removals.values[k])
                limit = job.threshold if reason == "near_duplicate" else 1.0
                removed.write(_removed(batch, i, reason, value, limit, f"of {names[int(removals.partners[k])]}"))
            table, lost, short = _without_repeats(job, first, batch, kept)
            for i, words, before in short:
                kept[i] = False
                detail = f"of {before} words"
                removed.write(_removed(batch, i, "too_little_left", words, job.min_left_words, detail))
            sizes = batch.column("n_bytes").to_numpy()
            rows_removed = [int(number) - first for number in removals.documents[low:high]]
            reasons = zip(removals.reasons[low:high].tolist(), rows_removed, strict=True)
            for reason, i in [*reasons, *(("too_little_left", i) for i, _, _ in short)]:
                removed_amounts[reason] = removed_amounts.get(reason, Amount()) + Amount(1, int(sizes[i]))
                numbers.append(first - job.part.first + i)
            kept_amount += Amount(int(kept.sum()), int(sizes[kept].sum()) - lost[0])
            rewritten, cut = rewritten + lost[0], cut + lost[1]
            pending.append(table)
            if sum(each.nbytes for each in pending) >= ROW_GROUP_BYTES:
                documents.write_table(_joined(pending))
                pending = []
        if pending:
            documents.write_table(_joined(pending))
    counts = _write_pairs(job)
    job.work.mkdir(parents=True, exist_ok=True)
    np.save(job.removed, np.array(sorted(numbers), dtype=np.uint64))
    incoming = sum(removed_amounts.values(), kept_amount) + Amount(0, rewritten)
    ledger = Ledger(incoming, kept_amount, removed_amounts, Amount(0, rewritten))
    write_whole(job.done, json.dumps({"ledger": ledger.to_dict(), "rewritten_documents": cut, **counts}))


def cluster_of(decided: Decided, numbers: np.ndarray, limit: int) -> np.ndarray:
    """Return for each document the one finally kept for it: itself, if it is kept. numbers: sorted and distinct."""
    kept = numbers.copy()
    for paths, columns in ((decided.urls, 2), (decided.exact, 2), (decided.near, 4)):
        wanted, place = np.unique(kept, return_inverse=True)
        found, rows = Runs(paths, columns).lookup(wanted, limit)
        kept = np.where(found, rows[1], wanted)[place]
    return kept


def _removals(job: WriteJob) -> Removals:
    """Read what the levels decided on the shard's documents."""
    urls, exact, near = (_rows(job, kind, columns) for kind, columns in (("urls", 2), ("exact", 2), ("near", 4)))
    exact, moved = _follow(job, exact)
    near = np.concatenate([near, moved], axis=1)
    levels = [("url_duplicate", urls, None), ("exact_duplicate", exact, None), ("near_duplicate", near, near)]
    documents = np.concatenate([rows[0] for _, rows, _ in levels])
    order = np.argsort(documents)
    return Removals(
        documents=documents[order].astype(np.int64),
        reasons=np.concatenate([np.full(rows.shape[1], reason, dtype="<U16") for reason, rows, _ in levels])[order],
        values=np.concatenate([_scores(rows, sets) for _, rows, sets in levels])[order],
        partners=np.concatenate([rows[1] for _, rows, _ in levels])[order],
    )


def _follow(job: WriteJob, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact copies in two parts: those whose original is kept, and those whose original is a near-duplicate.

    The latter get the document that replaced their original as partner; otherwise they would name one that was removed.
    A copy has the same words as its original, so it also has the same score.
    """
    originals, place = np.unique(exact[1], return_inverse=True)
    found, rows = Runs(job.decided.near, 4).lookup(originals, job.limit)
    moved = found[place]
    return exact[:, ~moved], np.concatenate([exact[:1, moved], rows[1:, place[moved]]])


def _rows(job: WriteJob, kind: str, columns: int) -> np.ndarray:
    paths = getattr(job.decided, kind)
    return Runs(paths, columns).read(job.part.first, job.part.first + job.part.count)


def _scores(rows: np.ndarray, sets: np.ndarray | None) -> np.ndarray:
    return np.ones(rows.shape[1]) if sets is None else sets[2] / sets[3]


def _names(corpus: Corpus, numbers: np.ndarray) -> dict[int, str]:
    """Return the name that people know each document by: its URL, or its id if it has none."""
    wanted = np.unique(numbers)
    named = corpus.names(wanted, corpus.facts(wanted))
    return {number: url or doc_id for number, (doc_id, url) in zip(wanted.tolist(), named, strict=True)}


def _numbered(job: WriteJob) -> Iterator[tuple[int, pa.RecordBatch]]:
    from data_lake.tables.schemas import DOCUMENTS

    first = job.part.first
    for batch in batches(job.documents, DOCUMENTS.names):
        yield first, batch
        first += batch.num_rows


def _removed(batch: pa.RecordBatch, i: int, reason: str, value: float, threshold: float, detail: str) -> dict[str, Any]:
    row = {name: batch.column(name)[i].as_py() for name in ("doc_id", "url", "source", "text", "n_bytes")}
    row["text"] = row["text"][:SAMPLE_CHARACTERS]
    return {**row, "reason": reason, "value": value, "threshold": threshold, "detail": detail}


def _without_repeats(
    job: WriteJob, first: int, batch: pa.RecordBatch, kept: np.ndarray
) -> tuple[pa.Table, tuple[int, int], list[tuple[int, int, int]]]:
    """Return three values: the kept rows without their repeated pieces; how many bytes of how many documents were cut;
    and the documents of which too little is left, as (row, words left, words before).
    """
    import pyarrow as pa

    from data_lake.tables.schemas import DOCUMENTS

    table = pa.Table.from_batches([batch]).cast(DOCUMENTS)
    cuts: dict[int, dict[Kind, set[int]]] = {}
    kinds: tuple[Kind, ...] = ("paragraphs", "lines")
    for kind in kinds:
        rows = Runs(getattr(job.decided, kind), 2).read(first, first + batch.num_rows)
        for document, value in rows.T.tolist():
            cuts.setdefault(document - first, {}).setdefault(kind, set()).add(value)
    if not cuts:
        return table.filter(pa.array(kept)), (0, 0), []
    texts, sizes = table.column("text").to_pylist(), table.column("n_bytes").to_pylist()
    short, lost, cut = [], 0, 0
    for i, hashes in cuts.items():
        text = repeats.cut(texts[i], hashes, job.min_words)
        words = count_words(text)
        if words < job.min_left_words or not words:
            short.append((i, words, count_words(texts[i])))
            continue
        size = len(text.encode())
        lost, cut = lost + sizes[i] - size, cut + 1
        texts[i], sizes[i] = text, size
    kept = kept.copy()
    kept[[i for i, _, _ in short]] = False
    for name, values in (("text", texts), ("n_bytes", sizes)):
        field = DOCUMENTS.field(name)
        table = table.set_column(DOCUMENTS.get_field_index(name), field, pa.array(values, field.type))
    return table.filter(pa.array(kept)), (lost, cut), short


def _joined(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(tables).combine_chunks()


def _write_pairs(job: WriteJob) -> Mapping[str, int]:
    """Write every pair of the shard's documents as rows of DUPLICATES; return how many there are and how many of the
    compared pairs were not confirmed."""
    from data_lake.tables.schemas import DUPLICATES

    compared = Runs(job.decided.compared, 4)
    exact, moved = _follow(job, _rows(job, "exact", 2))
    rows = 0
    folder = job.work / "duplicates"
    not_confirmed = 0
    with ShardWriter(folder, DUPLICATES, shard_bytes=float("inf"), first=job.number) as writer:
        for method, decided in (("url", _rows(job, "urls", 2)), ("exact", exact), ("minhash", moved)):
            if decided.shape[1]:
                scores = decided[2] / decided[3] if len(decided) > 2 else np.ones(decided.shape[1])
                removed = np.ones(len(scores), dtype=np.bool_)
                writer.write_table(_pairs(job, method, decided[0], decided[1], scores, removed))
        for low, high in compared.split(job.limit, job.part.first, job.part.first + job.part.count):
            a, b, shared, union = compared.read(low, high)
            scores = shared / union
            document, partner = _less_preferred_first(job.corpus, a, b)
            losers, place = np.unique(document, return_inverse=True)
            found, near = Runs(job.decided.near, 4).lookup(losers, job.limit)
            removed = (found & True)[place] & (near[1][place] == partner)
            not_confirmed += int(np.count_nonzero(scores < job.threshold))
            writer.write_table(_pairs(job, "minhash", document, partner, scores, removed))
        rows = writer.rows
    return {"decisions": rows, "not_confirmed": not_confirmed}


def _less_preferred_first(corpus: Corpus, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    facts = corpus.facts(both)
    order = np.lexsort((both, facts["id"], facts["rank"]))
    rank = np.empty(len(both), dtype=np.int64)
    rank[order] = np.arange(len(both))
    later = rank[place[: len(a)]] > rank[place[len(a) :]]
    return np.where(later, a, b), np.where(later, b, a)


def _pairs(
    job: WriteJob, method: str, document: np.ndarray, partner: np.ndarray, scores: np.ndarray, removed: np.ndarray
) -> pa.Table:
    """Return pairs as rows of DUPLICATES, sorted by document and partner."""
    import pyarrow as pa

    from data_lake.tables.schemas import DUPLICATES

    order = np.lexsort((partner, document))
    document, partner, scores, removed = document[order], partner[order], scores[order], removed[order]
    both = np.unique(np.concatenate([document, partner]))
    kept = cluster_of(job.decided, both, job.limit)
    wanted = np.unique(np.concatenate([both, kept]))
    named = job.corpus.names(wanted, job.corpus.facts(wanted))
    ids, urls = ([name[k] for name in named] for k in (0, 1))
    first, second = np.searchsorted(wanted, document), np.searchsorted(wanted, partner)
    cluster = np.searchsorted(wanted, kept[np.searchsorted(both, document)])
    alike = removed | (scores >= job.threshold)
    columns = [
        [ids[i] for i in first.tolist()],
        [ids[i] for i in second.tolist()],
        [method] * len(scores),
        scores,
        removed,
        [ids[i] if like else None for i, like in zip(cluster.tolist(), alike.tolist(), strict=True)],
        [urls[i] for i in first.tolist()],
        [urls[i] for i in second.tolist()],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, DUPLICATES, strict=True)], schema=DUPLICATES)
