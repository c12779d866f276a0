"""Documents by number: whichever are asked for, their own facts, sets and names come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.corpus.dedup.corpus import FACTS, Corpus, Part

SIZES = (0, 1, 7, 300, 2000)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Three shards of 40, 0 and 25 documents; document i has a set of values that begin with i."""
    parts, first = [], 0
    for number, count in enumerate((40, 0, 25)):
        facts = np.zeros(count, dtype=FACTS)
        numbers = np.arange(first, first + count)
        facts["rank"], facts["size"] = 1000 - numbers, [SIZES[i % 5] for i in numbers]
        facts["begin"] = np.cumsum(facts["size"]) - facts["size"]
        names = [f"id{i}\0" + ("" if i % 3 else f"http://example.org/é{i}") for i in numbers]
        facts["name_size"] = [len(name.encode()) for name in names]
        facts["name"] = np.cumsum(facts["name_size"]) - facts["name_size"]
        paths = [tmp_path / f"{kind}-{number}" for kind in ("facts.npy", "names", "shingles")]
        with paths[0].open("wb") as file:
            np.save(file, facts)
        paths[1].write_bytes("".join(names).encode())
        np.concatenate([np.empty(0, np.uint32), *(values(i) for i in numbers)]).tofile(paths[2])
        parts.append(Part(number, first, count, *paths))
        first += count
    return Corpus(tuple(parts), earlier=2)


def values(i: int) -> np.ndarray:
    return np.arange(i, i + SIZES[i % 5], dtype=np.uint32)


@pytest.mark.parametrize("seed", range(8))
def test_any_documents_can_be_asked_for(corpus: Corpus, seed: int) -> None:
    generator = np.random.default_rng(seed)
    wanted = np.flatnonzero(generator.random(65) < generator.random()).astype(np.uint64)
    facts = corpus.facts(wanted)
    assert facts["rank"].tolist() == (1000 - wanted.astype(int)).tolist()
    data, begins = corpus.sets(wanted, facts)
    for k, i in enumerate(wanted.tolist()):
        assert np.array_equal(data[begins[k] : begins[k + 1]], values(i))
    assert corpus.names(wanted, facts) == [
        (f"id{i}", None if i % 3 else f"http://example.org/é{i}") for i in wanted.tolist()
    ]


def test_shards_of_earlier_artifacts_are_told_apart(corpus: Corpus) -> None:
    assert (len(corpus), corpus.old) == (65, 40)
    assert [part.number for part in corpus.new_parts] == [2]
    assert Corpus(corpus.parts, earlier=3).old == 65
    assert Corpus(()).old == len(Corpus(())) == 0
