"""model/scoring.py: pairs, truncation and windows as lm-eval has them, and scores as adding up by hand gives them."""

from __future__ import annotations

import pytest
import torch

from model.gpt import GPT
from model.scoring import Scorer, rolling_windows
from model.shape import GPTConfig

PREFIX = 60
MODEL = GPT(GPTConfig(vocab_size=64, n_layer=2, n_head=2, n_kv_head=2, d_model=16, d_ff=24, max_seq_len=12)).initialise(
    2
)
with torch.no_grad():
    for _weight in MODEL.parameters():
        if _weight.dim() > 1:
            _weight.mul_(10)


def encode(text: str) -> list[int]:
    """One token per letter, but `th` and ` a` are one: encoding a text is not encoding its halves."""
    ids, at = [], 0
    while at < len(text):
        if text[at : at + 2] in ("th", " a"):
            ids.append(58 + (text[at] == "t"))
            at += 2
        else:
            ids.append(ord(text[at]) % 58)
            at += 1
    return ids


def by_hand(context: list[int], continuation: list[int]) -> tuple[float, bool]:
    total, greedy = 0.0, True
    # a window does not move within a continuation: it is cut once, for the whole of it
    start = max(0, len(context) + len(continuation) - 1 - 12)
    for place, token in enumerate(continuation):
        seen = (context + continuation[:place])[start:]
        with torch.inference_mode():
            logp = MODEL(torch.tensor([seen]))[0, -1].log_softmax(-1)
        total += float(logp[token])
        greedy &= int(logp.argmax()) == token
    return total, greedy


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(MODEL, encode, PREFIX, batch_tokens=30)


def test_pairs_are_cut_where_the_context_ends(scorer: Scorer) -> None:
    assert scorer.encode_pair("abc", " a") == (encode("abc"), [58])
    # whitespace at the end of the context belongs to the continuation
    assert scorer.encode_pair("abc ", "a") == (encode("abc"), [58])
    # "t" and "h" meet in one token: the context keeps its own, the continuation is what lies behind it
    assert scorer.encode_pair("at", "he") == (encode("at"), encode("athe")[2:])
    assert scorer.encode_pair("", "ab") == ([PREFIX], encode("ab"))


def test_a_continuation_that_begins_with_the_prefix_needs_no_other(scorer: Scorer) -> None:
    special = Scorer(MODEL, lambda text: [PREFIX, 3, 4], PREFIX)
    assert special.encode_pair("", "anything") == ([PREFIX], [3, 4])


def test_a_chat_model_is_asked_in_its_template() -> None:
    chat = Scorer(MODEL, encode, PREFIX, chat=lambda text: [61, *encode(text), 62])
    assert chat.encode_pair("abc ", " a") == ([61, *encode("abc "), 62], encode("a"))


def test_scores_equal_adding_up_by_hand(scorer: Scorer) -> None:
    pairs = [
        ("abc", " def"),
        ("the cat", " a"),
        ("", "xyz"),
        ("a long context that is cut", " off"),
        ("q", "rstuvwxyzabc"),
    ]
    for score, (context, continuation) in zip(scorer.log_likelihoods(pairs), pairs, strict=True):
        total, greedy = by_hand(*scorer.encode_pair(context, continuation))
        assert score.log_likelihood == pytest.approx(total, rel=1e-5)
        assert score.is_greedy is greedy
        tokens = sum(map(len, scorer.encode_pair(context, continuation)))
        assert score.cut == max(0, tokens - 1 - 12)


def test_greedy_is_recognised(scorer: Scorer) -> None:
    ids = [5]
    for _ in range(4):
        ids.append(int(MODEL(torch.tensor([ids]))[0, -1].argmax()))
    assert scorer.score_ids([(ids[:1], ids[1:])])[0].is_greedy
    assert not scorer.score_ids([(ids[:1], [*ids[1:4], (ids[4] + 1) % 64])])[0].is_greedy


def test_shared_inputs_give_the_same_scores(scorer: Scorer) -> None:
    together = scorer.log_likelihoods([("what is it", letter) for letter in "ABCD"])
    alone = [scorer.log_likelihoods([("what is it", letter)])[0] for letter in "ABCD"]
    for one, other in zip(together, alone, strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-5)


@pytest.mark.parametrize("continuation", ["", "0123456789abcdef"])
def test_what_cannot_be_scored_is_refused(scorer: Scorer, continuation: str) -> None:
    with pytest.raises(ValueError, match="must have 1 to 12"):
        scorer.log_likelihoods([("abc", continuation)])


def test_windows_predict_each_token_once() -> None:
    # lm-eval's own example: get_rolling_token_windows(range(10), prefix, max_seq_len=4, context_len=1), made disjoint
    ids = list(range(10))
    assert list(rolling_windows(ids, -1, 4)) == [([-1], [0, 1, 2, 3]), ([3], [4, 5, 6, 7]), ([5, 6, 7], [8, 9])]
    # context_len=3: two new tokens behind three old ones
    assert list(rolling_windows(ids, -1, 4, 3)) == [
        ([-1], [0, 1, 2, 3]),
        ([1, 2, 3], [4, 5]),
        ([3, 4, 5], [6, 7]),
        ([5, 6, 7], [8, 9]),
    ]
    assert list(rolling_windows([], -1, 4)) == []
    with pytest.raises(ValueError, match="min_context is 5"):
        list(rolling_windows(ids, -1, 4, 5))


@pytest.mark.parametrize("min_context", [1, 6])
def test_rolling_scores_add_up(scorer: Scorer, min_context: int) -> None:
    texts = ["the quick brown fox jumps over a lazy dog", "", "ab"]
    got = scorer.rolling(texts, min_context)
    assert [tokens for _, tokens in got] == [len(encode(text)) for text in texts]
    for (total, _), text in zip(got, texts, strict=True):
        expected = sum(by_hand(c, t)[0] for c, t in rolling_windows(encode(text), PREFIX, 12, min_context))
        assert total == pytest.approx(expected, rel=1e-5)
