"""tasks/training/sft/order.py: sources come in their shares, each example once per epoch, packed or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from model.chat import Example
from model.losses import IGNORE
from tasks.stage import PermanentError
from tasks.training.sft.config import SftConfig
from tasks.training.sft.order import Reading, packed

CONTEXT = 32


def examples(number: int, first: int, length: int = 8) -> list[Example]:
    """Examples whose only learned token tells which one it is."""
    return [Example((*[0] * (length - 1), first + i), ((length - 1, length),)) for i in range(number)]


def config(sources: list[dict[str, Any]] | None = None, steps: int = 30, **fields: Any) -> SftConfig:
    named = [{"data": ["x"], **source} for source in sources or []]
    return SftConfig.model_validate({"sources": named, "training": {"steps": steps, "batch_size": 4}, **fields})


def learned(reading: Reading, steps: range) -> Iterator[int]:
    for step in steps:
        targets = reading.batch(step).targets
        yield from targets[targets != IGNORE].tolist()


def test_weights_are_shares_of_the_examples_and_epochs_have_limits() -> None:
    mixture = config([{"name": "a", "weight": 3}, {"name": "b", "weight": 1}])
    reading = Reading(mixture, {"a": examples(10, 0), "b": examples(50, 100)}, CONTEXT, 0)
    read = Counter(token < 100 for token in learned(reading, range(30)))
    assert read == {True: 90, False: 30}
    assert [(row["rows_read"], row["epochs"]) for row in reading.drawn()] == [(90, 9.0), (30, 0.6)]
    limited = config([{"name": "a", "weight": 3, "max_epochs": 2}, {"name": "b", "weight": 1}])
    reading = Reading(limited, {"a": examples(10, 0), "b": examples(50, 100)}, CONTEXT, 0)
    counts = Counter(learned(reading, range(30)))
    assert {counts[token] for token in range(10)} == {2}
    assert [row["rows_read"] for row in reading.drawn()] == [20, 100]


def test_each_example_comes_once_per_epoch_whatever_stands_beside_it() -> None:
    alone = Reading(config(steps=10), {"data": examples(20, 0)}, CONTEXT, 0)
    assert sorted(learned(alone, range(5))) == sorted(learned(alone, range(5, 10))) == [*range(20)]
    a, b = examples(20, 0), examples(20, 100)
    both = Reading(config([{"name": "a"}, {"name": "b"}], 10), {"a": a, "b": b}, CONTEXT, 0)
    assert sorted(learned(both, range(10))) == [*range(20), *range(100, 120)]
    three = config([{"name": "a"}, {"name": "b"}, {"name": "c"}], 15)
    more = Reading(three, {"a": a, "b": b, "c": examples(20, 200)}, CONTEXT, 0)
    order = [token for token in learned(both, range(10)) if token < 100]
    assert order == [token for token in learned(more, range(15)) if token < 100]


def test_packed_rows_hold_each_example_once_and_are_nearly_full() -> None:
    lengths = np.random.default_rng(0).integers(1, CONTEXT // 2, 200)
    rows = packed(lengths, CONTEXT)
    assert sorted(i for row in rows for i in row) == [*range(200)]
    sums = [int(lengths[row].sum()) for row in rows]
    assert max(sums) <= CONTEXT
    assert lengths.sum() / (len(rows) * CONTEXT) > 0.95
    reading = Reading(config(steps=3, packed=True), {"data": examples(48, 1, length=9)}, CONTEXT, 0)
    assert sorted(learned(reading, range(3))) == [*range(1, 49)], "four of eight tokens each in a row of 32"
    batch = reading.batch(0)
    assert batch.documents is not None
    assert batch.documents.unique().tolist() == [0, 1, 2, 3]


def test_a_weight_is_a_share_of_the_examples_also_if_they_are_packed() -> None:
    mixture = config([{"name": "short", "weight": 1}, {"name": "long", "weight": 1}], 30, packed=True)
    reading = Reading(mixture, {"short": examples(64, 1, length=5), "long": examples(64, 100, length=33)}, CONTEXT, 0)
    read = Counter(token < 100 for token in learned(reading, range(30)))
    assert read[True] / read[False] == pytest.approx(1, abs=0.1)


def test_noise_is_asked_for_with_seeds_of_the_step() -> None:
    noisy = Reading(config(neftune=5), {"data": examples(20, 0)}, CONTEXT, 0)
    seeds = [noisy.batch(step).facts["neftune_seeds"].tolist() for step in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert not Reading(config(), {"data": examples(20, 0)}, CONTEXT, 0).batch(0).facts


def test_sources_that_do_not_suffice() -> None:
    limited = config([{"name": "a", "max_epochs": 1}, {"name": "b", "max_epochs": 1}])
    with pytest.raises(PermanentError, match=r"120 rows are to be read, and the sources have a 10, b 50; allow more"):
        Reading(limited, {"a": examples(10, 0), "b": examples(50, 100)}, CONTEXT, 0)


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ([{"name": "a"}, {"name": "a"}], "two sources are called 'a'"),
        ([{"name": "a", "data": []}], "names no file"),
        ([{"name": "a", "weight": 1}, {"name": "b"}], "'b' has none"),
    ],
)
def test_sources_that_contradict_each_other(sources: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        config(sources)
    with pytest.raises(ValueError, match="not in both"):
        SftConfig.model_validate({"data": ["x"], "sources": [{"data": ["y"]}]})
