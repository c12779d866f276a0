"""Finding benchmark items in documents, beside datatrove's n-gram filter: megabytes of text a second on one core.

Both look for the runs of 13 words of the same 20,000 items in the same documents of made-up prose. datatrove hashes one
n-gram after the other and asks a dictionary; it stops at a document's first hit, so the documents are clean but for one
in a hundred. What both find is compared as well.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.corpus.benchmarks.item import Item
from tasks.corpus.contamination.index import NgramIndex, Words
from tests.benchmarks.board import record

pytestmark = pytest.mark.benchmark

ITEMS = 20_000
MEGABYTES = 20
RIVALS_MEGABYTES = 2


def made_up(count: int, words: int, seed: int) -> list[str]:
    """Texts of a vocabulary of 30,000 words whose frequencies fall as those of a language do."""
    dice = np.random.default_rng(seed)
    letters = random.Random(0)
    vocabulary = ["".join(letters.choices("etaoinshrdlucmfwyp", k=letters.randrange(2, 10))) for _ in range(30_000)]
    ranks = np.minimum(dice.zipf(1.2, size=(count, words)) - 1, len(vocabulary) - 1)
    return [" ".join(vocabulary[i] for i in row).capitalize() + "." for row in ranks]


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median processor time of a piece of work."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def documents(items: Sequence[str], megabytes: int) -> list[str]:
    texts = made_up(megabytes * 320, 500, 1)  # 3 kB each
    for number in range(0, len(texts), 100):
        texts[number] += " " + items[number % len(items)]
    return texts


class Spaces:
    """The cheapest tokenizer that there is."""

    word_tokenize = staticmethod(str.split)


def test_megabytes_per_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datatrove")
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
    from datatrove.utils.hashing import create_hash_func
    from datatrove.utils.text import ngrams, simplify_text

    items = made_up(ITEMS, 40, 2)
    texts = documents(items, MEGABYTES)
    size = sum(len(text.encode()) for text in texts) / 1e6
    index = NgramIndex([Item("made_up", str(n), text) for n, text in enumerate(items)], 13, 3)
    columns = [pa.array(texts[at : at + 256], pa.large_string()) for at in range(0, len(texts), 256)]
    found = [index.find(Words.of_column(column)) for column in columns]  # compiles
    ours = size / seconds(lambda: [index.find(Words.of_column(column)) for column in columns])

    config = NGramsDecontConfig(n_grams=13)
    # for English it wants spaCy's tokenizer, which costs more than all the rest; here it may split at spaces
    monkeypatch.setattr("datatrove.pipeline.decont.n_grams.load_word_tokenizer", lambda _language: Spaces)
    rival = NGramsDecontFilter(str(tmp_path), config)
    hash_bytes = create_hash_func(config.hash_config)
    # xxhash takes bytes only since 4.0, and datatrove 0.10.1 gives it text
    rival.hash_func = hash_of = lambda gram: hash_bytes(gram.encode())
    # its indexer loads tasks from the network; this is the file that it would write
    hashes = {
        hash_of(" ".join(gram))
        for text in items
        for gram in ngrams(rival.tokenizer.word_tokenize(simplify_text(text, config.norm_config)), 13)
    }
    np.array(list(hashes), dtype=config.hash_config.np_descr).tofile(tmp_path / "made_up.index.hashes")
    fewer = [Document(text=text, id=str(n)) for n, text in enumerate(documents(items, RIVALS_MEGABYTES))]
    rival.load_index_hashes()
    flagged = [rival.filter(document) is not True for document in fewer]
    taken = seconds(lambda: [rival.filter(document) for document in fewer], repeats=2)
    theirs = sum(len(document.text.encode()) for document in fewer) / 1e6 / taken

    ratio = record("decontaminate: scan, one core", ours, {"datatrove": theirs}, unit="MB/s")
    print(f"\n{ours:.0f} MB/s, datatrove {theirs:.2f} MB/s: {ratio:.0f} times as fast")
    mine = {256 * number + place for number, hits in enumerate(found) for place in hits.text.tolist()}
    assert mine == set(range(0, len(texts), 100)), "every planted document and no other"
    assert [n for n, dirty in enumerate(flagged) if dirty] == list(range(0, len(fewer), 100))
    assert ratio is not None
    assert ratio > 5
