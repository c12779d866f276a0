"""tables/draws.py: the numbers are those of every run before, evenly spread, and salts make them independent."""

from __future__ import annotations

import numpy as np

from data_lake.tables.documents import split_of
from data_lake.tables.draws import hash_draw, hash_share


def test_the_numbers_never_change() -> None:
    """A change moves documents between training and test, and every recipe's results with them."""
    assert hash_draw("http://example.org/") == 8654722553547130012
    assert hash_draw("ü") == 6950308537068853028
    assert hash_draw("split", "0123456789abcdef") == hash_draw("split\0" + "0123456789abcdef") == 4233011714637118046
    assert hash_share("split", "0123456789abcdef") == 0.22947202485830767


def test_they_are_evenly_spread_and_salts_make_them_independent() -> None:
    names = [f"{number:016x}" for number in range(20_000)]
    split, other = (np.array([hash_share(salt, name) for name in names]) for salt in ("split", "tokenizer"))
    for shares in (split, other):
        assert 0 <= shares.min() <= shares.max() <= 1
        assert np.abs(np.histogram(shares, bins=10, range=(0, 1))[0] / 2000 - 1).max() < 0.1
    assert abs(np.corrcoef(split, other)[0, 1]) < 0.03


def test_a_document_is_held_out_by_its_share() -> None:
    for name in (f"{number:016x}" for number in range(500)):
        share = hash_share("split", name)
        assert split_of(name, 0.3, 0.2) == ("val" if share < 0.3 else "test" if share >= 0.8 else "train")
