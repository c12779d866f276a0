"""model/cache.py: what is put in comes out, also after it grew, lost rows, or was joined with another."""

from __future__ import annotations

import torch

from model.cache import KVCache
from model.shape import GPTConfig

CONFIG = GPTConfig(vocab_size=8, n_layer=2, n_head=2, n_kv_head=1, d_model=8, d_ff=8, max_seq_len=300)


def filled(rows: int, length: int, first: float = 0.0) -> KVCache:
    """Keys count up from `first`, values down; layer 1 has those of layer 0 plus 0.5."""
    cache = KVCache(CONFIG)
    numbers = torch.arange(rows * length, dtype=torch.float32).view(rows, 1, length, 1).expand(-1, -1, -1, 4) + first
    for layer in range(2):
        cache.append(layer, numbers + layer / 2, -numbers - layer / 2)
    cache.length = length
    return cache


def keys(cache: KVCache, layer: int = 0) -> list[list[float]]:
    """The first number of each key, and a check that the values are their negatives."""
    rows = cache._stored[layer][0].shape[0]
    nothing = torch.zeros(rows, 1, 0, 4)
    found, values = cache.append(layer, nothing, nothing)
    assert torch.equal(found, -values)
    return found[:, 0, :, 0].tolist()


def test_it_grows_and_keeps_what_it_has() -> None:
    cache = KVCache(CONFIG)
    for place in range(300):
        new = torch.full((1, 1, 1, 4), float(place))
        found, values = cache.append(0, new, -new)
        cache.length += 1
        assert found[0, 0, :, 0].tolist() == list(range(place + 1))
        assert torch.equal(found, -values)


def test_rows_are_chosen_repeated_and_shortened() -> None:
    cache = filled(3, 4)
    assert keys(cache.rows([2, 0])) == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert keys(cache.rows([1, 1], start=2)) == [[6, 7], [6, 7]]
    assert keys(cache.rows([1]), layer=1) == [[4.5, 5.5, 6.5, 7.5]]
    assert keys(cache) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]  # the first one is as it was


def test_joined_caches_end_together() -> None:
    short, long = filled(1, 2, first=50), filled(2, 3)
    assert keys(short.joined(long)) == [[0, 50, 51], [0, 1, 2], [3, 4, 5]]
    assert keys(long.joined(short)) == [[0, 1, 2], [3, 4, 5], [0, 50, 51]]
    joined = long.joined(short)
    new = torch.full((3, 1, 1, 4), 9.0)
    assert joined.append(0, new, -new)[0][:, 0, -1, 0].tolist() == [9, 9, 9]
