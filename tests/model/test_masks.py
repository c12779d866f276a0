"""model/masks.py: who may attend to whom."""

from __future__ import annotations

import torch

from model import masks


def test_a_chunk_sees_all_of_the_past_and_itself() -> None:
    assert masks.causal(2, 3, torch.device("cpu")).int().tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


def test_padding_is_hidden_by_length() -> None:
    assert masks.padded(torch.tensor([2, 0, 3]), 3)[:, 0, 0].int().tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]


def test_padding_on_the_left_sees_itself_alone() -> None:
    assert masks.left_padded(torch.tensor([0, 2]), 3)[:, 0].int().tolist() == [
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ]
    assert masks.left_padded(torch.tensor([0, 2]), 1, past=3)[:, 0, 0].int().tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]


def test_what_follows_sees_the_text_of_the_past_and_no_padding() -> None:
    real = torch.tensor([[True, True, False], [True, True, True]])
    assert masks.behind(real, 2)[:, 0].int().tolist() == [
        [[1, 1, 0, 1, 0], [1, 1, 0, 1, 1]],
        [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]],
    ]


def test_documents_do_not_see_each_other() -> None:
    documents = torch.tensor([[0, 0, 1, -1]])
    assert masks.same_document(documents)[0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]
    both_ways = masks.same_document(documents, causal=False)[0, 0].int().tolist()
    assert both_ways == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
