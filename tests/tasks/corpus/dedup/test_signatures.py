"""MinHash signatures: datasketch's bits from numpy and from the compiled kernel, and estimates of true similarity.

Also covers: tasks/corpus/dedup/kernels.py
"""

from __future__ import annotations

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.dedup.signatures import EMPTY, band_keys, permutations, signatures


def flat(sets: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *(len(each) for each in sets)])
    return np.array([value for each in sets for value in each], dtype=np.uint32), offsets


@pytest.mark.parity
@settings(max_examples=25, deadline=None)
@given(
    sets=st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=40), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_same_bits_as_datasketch(sets: list[list[int]], seed: int) -> None:
    params = permutations(120, seed)
    shingles, offsets = flat(sets)
    ours = signatures(shingles, offsets, params, compiled=False)
    assert np.array_equal(ours, signatures(shingles, offsets, params, compiled=True))
    for row, each in zip(ours, sets, strict=True):
        theirs = datasketch.MinHash(num_perm=120, seed=seed, hashfunc=int, scheme="affine32")
        theirs.update_batch(each)
        assert np.array_equal(row, theirs.hashvalues)


@pytest.mark.parity
def test_signatures_load_into_datasketchs_index() -> None:
    generator = np.random.default_rng(0)
    base = generator.integers(0, 2**32, 500).tolist()
    sets = [base, base[:480], *(generator.integers(0, 2**32, 500).tolist() for _ in range(20))]
    signed = signatures(*flat(sets), permutations(120, 1), compiled=False)
    index = datasketch.MinHashLSH(num_perm=120, params=(20, 6))
    for i, row in enumerate(signed[1:], start=1):
        index.insert(i, datasketch.MinHash(num_perm=120, seed=1, hashvalues=row, scheme="affine32"))
    query = datasketch.MinHash(num_perm=120, seed=1, hashfunc=int)
    query.update_batch(base)
    assert index.query(query) == [1]


def test_large_sets_in_pieces_are_the_same() -> None:
    shingles, offsets = flat([np.random.default_rng(1).integers(0, 2**32, 5000).tolist(), []])
    params = permutations(30, 7)
    plain = signatures(shingles, offsets, params, compiled=False)
    assert np.array_equal(plain, signatures(shingles, offsets, params, compiled=True))
    assert np.all(plain[1] == EMPTY)


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.8, 0.95])
def test_agreement_estimates_jaccard(similarity: float) -> None:
    """400 permutations: the estimate's standard deviation is sqrt(J(1-J)/400), at most 0.025."""
    generator = np.random.default_rng(int(similarity * 100))
    common = round(2000 * similarity)
    values = generator.choice(2**32, 4000, replace=False)
    own = (2000 - common) // 2
    a, b = values[: common + own], np.concatenate([values[:common], values[2500 : 2500 + own]])
    true = common / (common + 2 * own)
    first, second = signatures(*flat([a.tolist(), b.tolist()]), permutations(400, 3), compiled=False)
    assert abs(np.mean(first == second) - true) < 4 * np.sqrt(true * (1 - true) / 400)


def test_band_keys_are_equal_where_the_band_is() -> None:
    generator = np.random.default_rng(5)
    signed = generator.integers(0, 2**32, (50, 12), dtype=np.uint32)
    signed[7, 3:6] = signed[9, 3:6]
    signed[11] = signed[12]
    keys = band_keys(signed, bands=4, rows=3)
    same = {(band, i, j) for band in range(4) for i in range(50) for j in range(i) if keys[band, i] == keys[band, j]}
    assert same == {(1, 9, 7), *((band, 12, 11) for band in range(4))}
