"""BM25 over passages by their terms, with tantivy: written once, read from the files without loading them.

The files of an index are read through a folder of links of its own, because tantivy locks a file beside them even to
read: artifacts stay as they are, and a lake may be read by those who cannot write into it.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path

MEMORY = 64 << 20
"""Bytes of postings that are held before they are written: what indexing needs, however large the corpus is."""
MOST_TERMS = 1000
"""Terms of a question that count: a whole page as a question must not take minutes."""


def write_bm25(folder: Path, passages: Iterable[str]) -> int:
    """Write the index of passages, each given as its terms with spaces between them; return their number.

    Passages are numbered from 0 in this order. One thread, so that the order does not depend on chance.
    """
    import tantivy

    folder.mkdir(parents=True, exist_ok=True)
    builder = tantivy.SchemaBuilder()
    # terms hold no spaces, and are folded already
    builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    builder.add_integer_field("number", stored=True)
    writer = tantivy.Index(builder.build(), path=str(folder)).writer(MEMORY, 1)
    count = 0
    for terms in passages:
        writer.add_document(tantivy.Document(terms=terms, number=count))
        count += 1
    writer.commit()
    writer.wait_merging_threads()
    for lock in folder.glob("*.lock"):
        lock.unlink()
    return count


class Bm25:
    """An index that is open for questions."""

    def __init__(self, folder: Path) -> None:
        """Open it. Raises ValueError if it is none."""
        import tantivy

        links = tempfile.mkdtemp(prefix="textmill-index-")
        weakref.finalize(self, _remove, links)
        for file in folder.resolve().iterdir():
            (Path(links) / file.name).symlink_to(file)
        index = tantivy.Index.open(links)
        index.config_reader("manual")  # what is in an artifact does not change, so that no thread has to look
        self._schema, self._searcher = index.schema, index.searcher()

    @property
    def passages(self) -> int:
        """How many passages there are."""
        return int(self._searcher.num_docs)

    def find(self, terms: Sequence[str], count: int) -> list[tuple[int, float]]:
        """Return the numbers of at most `count` passages with any of the terms, and their scores, the best first."""
        import tantivy

        wanted = list(dict.fromkeys(terms))[:MOST_TERMS]
        if not wanted or count < 1:
            return []
        parts = [(tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "terms", term)) for term in wanted]
        hits = self._searcher.search(tantivy.Query.boolean_query(parts), count).hits
        found = [(int(self._searcher.doc(address).to_dict()["number"][0]), float(score)) for score, address in hits]
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def rarity(self, term: str) -> float:
        """Return the weight of a term: BM25's inverse document frequency."""
        having = self._searcher.doc_freq("terms", term)
        return math.log(1 + (self.passages - having + 0.5) / (having + 0.5))


def _remove(links: str) -> None:
    """Remove a folder of links; tantivy may put its lock into it while that happens, so it is tried twice."""
    for _ in range(2):
        shutil.rmtree(links, ignore_errors=True)
