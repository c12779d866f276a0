"""Paragraphs and lines that occur in several documents: found across all shards, and cut if there are too many copies.

Only the words are compared, so case, spacing and punctuation make no difference, and pieces of Chinese or Thai are
handled like any others. Published methods of this kind: C4 removes repeated spans of three sentences (Raffel 2020,
§ 2.2); CCNet and dolma remove paragraphs seen before (Wenzek 2020; Soldaini 2024, § 3.1), dolma with Bloom filters,
which also cut some paragraphs that were not seen before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data_lake.tables.runs import Runs, write_run
from data_lake.text import units
from data_lake.text.folding import fold
from tasks.corpus.dedup.corpus import Corpus, Part, Removed
from tasks.corpus.dedup.shingles import strings
from tasks.corpus.dedup.sign import batches

Kind = Literal["paragraphs", "lines"]

# A piece includes the separator after it, so that all pieces joined give the text.
_PIECES = {"paragraphs": re.compile(r".+?(?:\n[^\S\n]*\n\s*|\Z)", re.S), "lines": re.compile(r"[^\n]*\n|[^\n]+")}
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n(?:[^\S\n]*\n)+")


@dataclass(frozen=True)
class PiecesJob:
    """Record the pieces of one shard's documents."""

    corpus: Corpus
    part: Part
    documents: Path
    removed: Path
    kind: Kind
    copies: int
    min_words: int
    compiled: bool
    every: Path  # run of (hash, document)
    preferred: Path  # run of (hash, rank, id, document): for each hash, only as many as affect the decision


@dataclass(frozen=True)
class CutJob:
    """Decide which pieces of one shard's documents are cut."""

    every: Path
    repeated: tuple[Path, ...]
    keepers: tuple[Path, ...]
    limit: int
    output: Path


def pieces(text: str, kind: Kind) -> list[str]:
    """Return the paragraphs or lines of a text, each with the separator after it: `"".join` gives the text."""
    return _PIECES[kind].findall(text)


def piece_hashes(found: Sequence[str], min_words: int, *, compiled: bool) -> np.ndarray:
    """Return a 64-bit hash of the words of each piece, uint64[n]; 0 for a piece of fewer than `min_words` words."""
    import xxhash

    if compiled:
        import pyarrow as pa

        from data_lake.text.kernels import word_hashes_of

        hashes, offsets = word_hashes_of(pa.array(found, pa.large_string()))
    else:
        hashes, offsets = units.word_hashes([fold(piece) for piece in found])
    view, ends = memoryview(hashes.view(np.uint8)), (8 * offsets).tolist()  # type: ignore[arg-type]
    values = [
        xxhash.xxh3_64_intdigest(view[ends[i] : ends[i + 1]]) or 1 if ends[i + 1] - ends[i] >= 8 * min_words else 0
        for i in range(len(found))
    ]
    return np.array(values, dtype=np.uint64)


def cut(text: str, repeated: dict[Kind, set[int]], min_words: dict[Kind, int]) -> str:
    """Return a text without the pieces whose hashes are in `repeated`, and without the gaps that they would leave."""
    for kind in ("paragraphs", "lines"):
        if repeated.get(kind):
            found = pieces(text, kind)
            hashes = piece_hashes(found, min_words[kind], compiled=False).tolist()
            left = [piece for piece, value in zip(found, hashes, strict=True) if value not in repeated[kind]]
            if len(left) < len(found):
                text = _BLANK_LINES.sub("\n\n", "".join(left)).strip("\n")
    return text


def note_pieces(job: PiecesJob) -> None:
    """Write the runs of one shard: all its pieces, and for each piece the most preferred documents that have it."""
    removed, first = Removed(0, job.removed), job.part.first
    rows = [np.empty((2, 0), dtype=np.uint64)]
    for batch in batches(job.documents, ["text"]):
        numbers = np.arange(first, first + batch.num_rows, dtype=np.uint64)
        first += batch.num_rows
        kept = ~removed[numbers]
        texts = [text for text, keep in zip(strings(batch.column("text")), kept.tolist(), strict=True) if keep]
        found = [pieces(text, job.kind) for text in texts]
        owners = np.repeat(numbers[kept], [len(each) for each in found])
        hashes = piece_hashes([piece for each in found for piece in each], job.min_words, compiled=job.compiled)
        made = np.stack([hashes, owners])[:, hashes > 0]
        rows.append(np.unique(made, axis=1))
    every = np.concatenate(rows, axis=1)
    write_run(job.every, every)
    # Only the most preferred documents of this shard that have a piece can be among those that keep it.
    numbers, place = np.unique(every[1], return_inverse=True)
    facts = job.corpus.facts(numbers)
    ranked = np.stack([every[0], facts["rank"][place], facts["id"][place], every[1]])
    write_run(job.preferred, ranked[:, _nth(ranked) <= max(job.copies, 1)])


def find_repeated(preferred: Runs, copies: int, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the hashes of pieces that occur in too many documents, and the keys of the (piece, document) pairs kept."""
    for low, high in preferred.split(limit):
        rows = preferred.read(low, high)
        rows = rows[:, np.lexsort(rows[::-1])]
        nth = _nth(rows)
        repeated = np.unique(rows[0][nth >= max(copies, 1)])
        keeps = (nth < copies) & np.isin(rows[0], repeated)
        yield repeated[None], _keys(rows[0][keeps], rows[3][keeps])[None]


def decide_cuts(job: CutJob) -> None:
    """Write the pieces of the shard that are cut as a run of (document, hash)."""
    every, repeated, keepers = Runs([job.every], 2), Runs(job.repeated, 1), Runs(job.keepers, 1)
    cuts = [np.empty((2, 0), dtype=np.uint64)]
    for low, high in every.split(job.limit):
        hashes, documents = every.read(low, high)
        known, place = np.unique(hashes, return_inverse=True)
        again = repeated.lookup(known, job.limit)[0][place]
        hashes, documents = hashes[again], documents[again]
        keys, place = np.unique(_keys(hashes, documents), return_inverse=True)
        keeps = keepers.lookup(keys, job.limit)[0][place]
        cuts.append(np.stack([documents[~keeps], hashes[~keeps]]))
    write_run(job.output, np.concatenate(cuts, axis=1))


def _nth(rows: np.ndarray) -> np.ndarray:
    """Return for each row how many rows with the same first column sort before it: int64[n]."""
    order = np.lexsort(rows[::-1])
    first = np.concatenate([[True], rows[0][order][1:] != rows[0][order][:-1]])[: rows.shape[1]]
    begins = np.flatnonzero(first)
    nth = np.arange(rows.shape[1]) - np.repeat(begins, np.diff(np.append(begins, rows.shape[1])))
    out = np.empty_like(nth)
    out[order] = nth
    return out


def _keys(hashes: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of each (hash, document)."""
    return units.mix64(hashes ^ units.mix64(documents + np.uint64(1)))
