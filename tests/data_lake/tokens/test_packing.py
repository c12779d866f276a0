"""tokens/packing.py: each token of each document is read exactly once per epoch, and no document sees another."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.packing import NO_DOCUMENT, PackedDataset, best_fit, count_rows
from tests.data_lake.tokens.test_loader import write

BOS, PAD, END = 1, 2, 3


def packed(folder: Path, lengths: list[int], seq_len: int) -> tuple[PackedDataset, list[np.ndarray]]:
    """Documents of these lengths, packed; and their tokens, of which no two are the same, each after a BOS."""
    documents, token = [], 10
    for length in lengths:
        documents.append(np.array([BOS, *range(token, token + length - 1)], np.uint16))
        token += length - 1
    whole = np.concatenate([np.empty(0, np.uint16), *documents])
    half = len(whole) // 2
    data = TokenDataset(write(folder, whole[:half], whole[half:]), "train", seq_len=seq_len)
    n_tokens = np.array(lengths, np.int64)
    return PackedDataset(data, np.cumsum(n_tokens) - n_tokens, n_tokens, end=END), documents


def pieces(rows: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """The inputs and targets of each document of each row."""
    found = []
    for inputs, targets, documents in rows:
        for number in range(documents.max() + 1):
            here = documents == number
            found.append((inputs[here].tolist(), targets[here].tolist()))
    return found


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), max_size=30), seq_len=st.integers(1, 25))
@example(lengths=[1], seq_len=8)
@example(lengths=[8, 16, 17, 40], seq_len=8)  # exactly one row, two rows, two and a rest, five
@example(lengths=[], seq_len=8)
def test_no_token_is_lost_and_none_predicts_another_document(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], seq_len: int
) -> None:
    data, documents = packed(tmp_path_factory.mktemp("tokens"), lengths, seq_len)
    rows = data.batch(range(len(data)))
    assert len(data) == count_rows(np.array(lengths, np.int64), seq_len)
    assert data.n_tokens == sum(lengths) == (rows[:, 2] != NO_DOCUMENT).sum()
    assert data.padding == (rows[:, 2] == NO_DOCUMENT).sum()
    assert set(rows[:, 0][rows[:, 2] == NO_DOCUMENT].tolist()) <= {PAD}
    assert set(rows[:, 1][rows[:, 2] == NO_DOCUMENT].tolist()) <= {-1}
    expected = []
    for ids in documents:
        after = [*ids.tolist()[1:], END]
        for start in range(0, len(ids), seq_len):
            expected.append((tuple(ids[start : start + seq_len].tolist()), tuple(after[start : start + seq_len])))
    found = [(tuple(inputs), tuple(targets)) for inputs, targets in pieces(rows)]
    assert Counter(found) == Counter(expected)
    assert Counter(rows[:, 1].ravel().tolist())[BOS] == 0, "the first token of a document is nobody's target"


def test_rows_lie_one_document_behind_the_other_and_padding_last(tmp_path: Path) -> None:
    data, _ = packed(tmp_path, [3, 5, 2, 4], 8)
    for _, _, documents in data.batch(range(len(data))):
        real = documents[documents >= 0]
        assert np.array_equal(documents[: len(real)], real)
        assert set(np.diff(real).tolist()) <= {0, 1}
        assert real[0] == 0
    with pytest.raises(IndexError, match="outside the 2 rows"):
        data.row(2)
    assert np.array_equal(data.row(1), data.batch([1])[0])


@settings(max_examples=100, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), max_size=60))
def test_best_fit_is_what_the_slow_search_finds(lengths: list[int]) -> None:
    lengths = sorted(lengths, reverse=True)
    bins = best_fit(np.array(lengths, np.int64), 20).tolist()
    room: list[int] = []
    for length, chosen in zip(lengths, bins, strict=True):
        fitting = [r for r in room if r >= length]
        if fitting:
            assert room[chosen] == min(fitting)
        else:
            assert chosen == len(room)
            room.append(20)
        room[chosen] -= length


def test_what_nanochat_crops_is_kept(tmp_path: Path) -> None:
    """With lengths as on the web (log-normal), its rows lose a third of the tokens; ours hold hardly any padding."""
    n_tokens = np.random.default_rng(0).lognormal(6, 1.2, 20_000).astype(np.int64) + 1
    rows = count_rows(n_tokens, 2048)
    assert 1 - n_tokens.sum() / (rows * 2048) < 0.001
    assert count_rows(np.full(7, 1025), 2048) == 7  # nothing fits beside these


def test_every_epoch_has_an_order_of_its_own_and_a_step_needs_only_its_number(tmp_path: Path) -> None:
    data, _ = packed(tmp_path, [5, 6, 7, 8] * 10, 8)
    n = len(data)
    taken = np.concatenate([data.indices(step, 5, seed=3) for step in range(2 * n)])[: 2 * n]
    assert sorted(taken[:n].tolist()) == sorted(taken[n:].tolist()) == list(range(n))
    assert taken[:n].tolist() != taken[n:].tolist()
    again, _ = packed(tmp_path / "again", [5, 6, 7, 8] * 10, 8)
    parts = [again.batch(again.indices(4, 5, 3, rank, 3)) for rank in range(3)]
    assert np.array_equal(np.concatenate(parts), data.batch(taken[20:25]))
    for draws in (0, 3, n, 2 * n + 4):
        rows = np.concatenate([data.indices(step, 1, seed=3) for step in range(draws)] or [np.empty(0, np.int64)])
        assert data.tokens_in(draws, 3) == (data.batch(rows)[:, 2] >= 0).sum()


def test_nothing_to_pack_is_a_sentence(tmp_path: Path) -> None:
    data, _ = packed(tmp_path, [], 8)
    assert len(data) == data.n_tokens == data.padding == data.tokens_in(0, 0) == 0
    with pytest.raises(ValueError, match="has no documents to pack"):
        data.indices(0, 1)
