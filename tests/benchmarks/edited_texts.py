"""A corpus with known near-duplicates: pieces of the installed packages, some of them edited.

As in the measurements that dedup's thresholds come from: of every 27 documents 20 are pieces of real text (3.1 kB on
average), one is an exact copy, and six are copies in which 2, 5, 10 or 20 % of the words were replaced by others of the
corpus. The same on every run of one machine; the text is what is installed there.
"""

from __future__ import annotations

import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from data_lake.tables.documents import doc_id, shard_path, write_parquet
from data_lake.tables.schemas import DOCUMENTS
from data_lake.text import units
from data_lake.text.folding import fold

MEAN_BYTES = 3100
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)  # of words that are replaced in a copy
_WORD = re.compile(r"\S+")


def texts(count: int) -> list[str]:
    """Return `count` documents: 20 of 27 original, the others copies of some of those, in a mixed order."""
    generator = random.Random(count)
    originals = list(_pieces(generator, count * 20 // 27))
    words = _WORD.findall("\n".join(originals[:300]))
    documents = list(originals)
    while len(documents) < count:
        kind = (len(documents) - len(originals)) % 7
        share = SHARES[0] if kind == 0 else SHARES[1 + (kind - 1) % 4]
        text = generator.choice(originals)
        documents.append(
            _WORD.sub(lambda word, s=share: generator.choice(words) if generator.random() < s else word[0], text)
        )
    generator.shuffle(documents)
    return documents


def write_documents(folder: Path, documents: list[str], *, shards: int = 1) -> int:
    """Write texts as a clean stage does, folder/part-*.parquet; return their bytes."""
    rows = []
    for number, text in enumerate(documents):
        url = f"http://example.org/{number}"
        size = len(text.encode())
        rows.append({"doc_id": doc_id(url=url), "url": url, "source": "example.org", "text": text, "n_bytes": size})
    step = -(-len(rows) // shards)
    for number in range(shards):
        table = pa.Table.from_pylist(rows[number * step : (number + 1) * step], schema=DOCUMENTS)
        write_parquet(shard_path(folder, number), table)
    return sum(row["n_bytes"] for row in rows)


def true_pairs(documents: list[str], n: int, threshold: float) -> dict[tuple[int, int], float]:
    """Return all pairs of documents whose sets of word n-grams have this Jaccard similarity: (first, second) -> J.

    Exact, by comparing all pairs that can be: two such sets share one of the rarest 1 - threshold of either's members
    (Bayardo, Ma & Srikant, "Scaling up all pairs similarity search", WWW 2007).
    """
    numbered: dict[tuple[str, ...], int] = {}
    sets = []
    for text in documents:
        words = units.words(fold(text))
        grams = {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))} if words else set()
        sets.append(np.array(sorted(numbered.setdefault(gram, len(numbered)) for gram in grams), dtype=np.int64))
    counts = np.bincount(np.concatenate(sets), minlength=len(numbered))
    order = np.empty(len(numbered), dtype=np.int64)
    order[np.argsort(counts, kind="stable")] = np.arange(len(numbered))
    holders: dict[int, list[int]] = {}
    found: dict[tuple[int, int], float] = {}
    for i, mine in enumerate(sets):
        rarest = np.sort(order[mine])[: len(mine) - int(np.ceil(threshold * len(mine))) + 1].tolist()
        met = {j for gram in rarest for j in holders.get(gram, ())}
        for j in met:
            small, large = sorted((len(mine), len(sets[j])))
            if small >= threshold * large:
                common = np.intersect1d(mine, sets[j], assume_unique=True).size
                similarity = common / (small + large - common)
                if similarity >= threshold:
                    found[j, i] = similarity
        for gram in rarest:
            holders.setdefault(gram, []).append(i)
    return found


def _pieces(generator: random.Random, count: int) -> Iterator[str]:
    """Yield pieces of the installed text, cut at line ends; lengths between a tenth and some times the mean."""
    left = count
    folders = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in {".py", ".md", ".rst"})
    for path in files:
        if path.stat().st_size > 4 * MEAN_BYTES**2:
            continue
        lines, size = [], 0
        wanted = generator.gammavariate(2.0, MEAN_BYTES / 2.0) + 300
        for line in path.read_text("utf-8", "replace").splitlines(keepends=True):
            lines.append(line)
            size += len(line)
            if size >= wanted:
                if not left:
                    return
                yield "".join(lines)
                left -= 1
                lines, size = [], 0
                wanted = generator.gammavariate(2.0, MEAN_BYTES / 2.0) + 300
    raise RuntimeError(f"The installed packages hold too little text for {count:,} documents.")
