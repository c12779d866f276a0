"""model/prompt_scores.py: the log-probabilities of given texts, and their vectors."""

from __future__ import annotations

import pytest
import torch

from model.generate import Sampling, generate
from model.prompt_scores import embedding, prompt_scores
from tests.model.test_generate import MODEL


def test_scores_are_those_of_the_logits() -> None:
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    scores = prompt_scores(MODEL, ids, top=3)
    logits = MODEL(torch.tensor([ids]))[0].log_softmax(-1)
    assert scores.log_probs[0] is None
    assert scores.top[0] is None
    for place, token in enumerate(ids[1:]):
        assert scores.log_probs[place + 1] == pytest.approx(float(logits[place, token]), abs=1e-5)
        top = scores.top[place + 1]
        assert top is not None
        assert [token for token, _ in top] == logits[place].topk(3).indices.tolist()
    assert prompt_scores(MODEL, [3]).log_probs == [None]


def test_a_greedy_text_scores_as_it_was_written() -> None:
    made = generate(MODEL, [3, 1], 6, Sampling())
    scores = prompt_scores(MODEL, [3, 1, *made.ids])
    assert scores.log_probs[2:] == pytest.approx(made.log_probs, abs=1e-4)


def test_vectors_have_length_one_and_differ() -> None:
    one, other = embedding(MODEL, [3, 1, 4]), embedding(MODEL, [9, 2, 6])
    assert float(one.norm()) == pytest.approx(1, abs=1e-5)
    assert not torch.allclose(one, other)


@pytest.mark.parametrize(
    ("ids", "words"), [([], "empty"), ([0] * 1000, "context is"), ([-1], "id -1"), ([10**6], "id 1000000")]
)
def test_texts_that_do_not_fit(ids: list[int], words: str) -> None:
    for asked in (prompt_scores, embedding):
        with pytest.raises(ValueError, match=words):
            asked(MODEL, ids)
