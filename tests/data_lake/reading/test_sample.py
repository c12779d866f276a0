"""Samples: the same seed the same rows, another seed others, and what cannot be found is answered with what can."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.reading.catalog import Catalog, QueryError
from data_lake.reading.sample import COLUMNS, sample
from data_lake.store.lake import Lake
from tests.lakes import commit, documents, small_lake


def texts(lake: Lake, n: int, seed: int) -> list[str]:
    with Catalog(lake) as catalog:
        return [row["text"] for row in sample(catalog, "documents", n, seed, {})]


def test_the_seed_decides_wherever_the_rows_lie(tmp_path: Path) -> None:
    one, two = Lake(tmp_path / "one"), Lake(tmp_path / "two")
    table = documents(*(f"text number {number}" for number in range(50)))
    commit(one, "clean", {"documents/part-00000.parquet": table})
    commit(two, "clean", {"documents/part-00000.parquet": table[30:], "documents/part-00001.parquet": table[:30]})
    drawn = texts(one, 5, seed=1)
    assert len(set(drawn)) == 5
    assert drawn == texts(two, 5, seed=1) == texts(one, 50, seed=1)[:5]
    assert drawn != texts(one, 5, seed=2)


def test_rows_that_were_asked_for_with_all_their_columns(tmp_path: Path) -> None:
    with Catalog(small_lake(tmp_path / "lake")) as catalog:
        (row,) = sample(catalog, "removed", 9, 0, {"stage": "clean", "reason": "empty", "source": None})
        assert tuple(row) == COLUMNS["removed"]
        assert (row["stage"], row["reason"]) == ("clean", "empty")
        assert len(sample(catalog, "documents", 9, 0, {"language": "en"})) == 2


@pytest.mark.parametrize(
    ("view", "wanted", "words"),
    [
        (
            "removed",
            {"reason": "too_shrt"},
            "there are too_short (2), empty (1), near_duplicate (1). Did you mean too_sh",
        ),
        ("removed", {"stage": "dedup", "reason": "empty"}, "among those with stage = 'dedup'"),
        ("removed", {"reason": "it's; DROP TABLE removed"}, "No removed document has the reason"),
        ("documents", {"language": "tlh"}, "there are en (2)."),
        ("documents", {"source": ""}, "there are example.org (2)."),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(
    tmp_path: Path, view: str, wanted: dict[str, str], words: str
) -> None:
    with Catalog(small_lake(tmp_path / "lake")) as catalog, pytest.raises(QueryError) as caught:
        sample(catalog, view, 5, 0, wanted)
    assert words in str(caught.value)


def test_an_empty_lake(tmp_path: Path) -> None:
    with Catalog(Lake(tmp_path)) as catalog:
        assert sample(catalog, "removed", 5, 0, {}) == []
        with pytest.raises(QueryError, match="has a reason at all"):
            sample(catalog, "removed", 5, 0, {"reason": "x"})
