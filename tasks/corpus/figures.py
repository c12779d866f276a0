"""Figures of a corpus, for every stage that writes documents: lengths, languages, quality, largest contributors."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from data_lake.tables.documents import read_documents
from tasks.stage import figures
from tasks.stage.output import Output

if TYPE_CHECKING:
    import pyarrow as pa

SHAPES_NO_RESULT = "draws what was made"

MOST = 25  # bars of a figure; all other names share one more bar
BATCH_ROWS = 16_384
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?P<host>\[[^\]]+\]|[^/:?#]+)"  # of a canonical URL, which holds no credentials


def show_corpus(out: Output) -> None:
    """Show `out.dir/documents` as figures; a figure is left out if its column is empty.

    A document counts towards the host of its URL, whatever file it was read from; without a URL, towards that file.
    Memory: 16 bytes for each document, and one count for each host or file.
    """
    import numpy as np
    import pyarrow.compute as pc

    lengths, qualities = [np.empty(0)], [np.empty(0)]
    languages: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    columns = ["n_bytes", "quality", "language", "source", "url"]
    for batch in read_documents(out.dir, columns, batch_rows=BATCH_ROWS):
        lengths.append(batch.column("n_bytes").to_numpy(zero_copy_only=False))
        qualities.append(batch.column("quality").drop_null().to_numpy(zero_copy_only=False))
        languages.update(_counts(batch.column("language")))
        hosts = pc.struct_field(pc.extract_regex(batch.column("url"), HOST), "host")
        sources.update(_counts(pc.coalesce(hosts, batch.column("source"))))
    out.figure("text_lengths", figures.histogram(np.concatenate(lengths), "Length of documents", "bytes of text"))
    scores = np.concatenate(qualities)
    if scores.size:
        out.figure("quality", figures.histogram(scores, "Quality of documents", "probability of good", log=False))
    if languages:
        out.figure("languages", figures.bars(_most(languages), "Documents by language", "documents"))
    if sources:
        out.figure("sources", figures.bars(_most(sources), "Documents by host or file", "documents"))


def _counts(column: pa.Array) -> Counter[str]:
    """Return how often each value occurs in the column; nulls are not counted."""
    counted = column.drop_null().value_counts()
    return Counter(dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)))


def _most(numbers: Counter[str]) -> dict[str, int]:
    """Return the counts of the most frequent names, shortened to fit next to a bar, and the sum of the others."""
    shown: Counter[str] = Counter()
    for name, number in numbers.most_common(MOST):
        shown[_short(name)] += number
    if len(numbers) > MOST:
        shown[f"{len(numbers) - MOST:,} others"] = numbers.total() - shown.total()
    return dict(shown)


def _short(name: str) -> str:
    return name if len(name) <= 48 else f"{name[:24]}…{name[-23:]}"
