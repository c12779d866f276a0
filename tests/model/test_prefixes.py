"""model/prefixes.py: what texts begin with in common is read once, and each text gets the states it has alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
import torch

from model.gpt import GPT
from model.prefixes import LEAST, MOST_LEVELS, WORTH, Piece, PrefixReader, pieces_of
from model.scoring import Scorer
from model.shape import Family, GPTConfig

Row = tuple[int, ...]


def network(family: Family, context: int = 160) -> GPT:
    shape = {"n_layer": 2, "n_head": 4, "n_kv_head": 4 if family == "gpt2" else 2, "d_model": 32, "d_ff": 48}
    model = GPT(GPTConfig(vocab_size=90, family=family, max_seq_len=context, **shape)).initialise(1)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(8)
    return model.eval()


def drawn(source: random.Random, length: int) -> Row:
    return tuple(source.randrange(90) for _ in range(length))


def asked(seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Shots of three subjects, questions of different lengths after them, choices of one and of more tokens; a question
    that is longer than the context; a choice with which another one begins."""
    source = random.Random(seed)
    pairs = []
    for shots in (drawn(source, 70), drawn(source, 45), ()):
        for length in (9, 30, 41, 150 if shots == () else 12):
            question = list(shots + drawn(source, length))
            pairs += [(question, list(drawn(source, own))) for own in (1, 1, 1, 6, 13)]
            pairs.append((question, pairs[-1][1][:4]))
    source.shuffle(pairs)
    return pairs


def leaves(pieces: Sequence[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        yield from leaves(piece.below) if piece.below else [piece]


def tokens(pieces: Sequence[Piece]) -> int:
    return sum(piece.length + tokens(piece.below) for piece in pieces)


def levels(pieces: Sequence[Piece]) -> int:
    return max((1 + levels(piece.below) for piece in pieces), default=0)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("at_once", [1, 200, 100_000])
def test_scores_are_those_of_each_text_alone(family: Family, at_once: int) -> None:
    model, pairs = network(family), asked()
    found = Scorer(model, list, 0, at_once).score_ids(pairs)
    for (context, continuation), score in zip(pairs, found, strict=True):
        ids = (context + continuation)[-161:]
        with torch.inference_mode():
            logits = model(torch.tensor([ids[:-1]]))[0].log_softmax(-1)[-len(continuation) :]
        wanted = torch.tensor(continuation)
        assert score.log_likelihood == pytest.approx(float(logits.gather(1, wanted[:, None]).sum()), rel=1e-5)
        assert score.is_greedy == bool((logits.argmax(-1) == wanted).all())
        assert score.cut == max(0, len(context) + len(continuation) - 161)


@pytest.mark.gpu
def test_a_gpu_finds_the_same_scores() -> None:
    model, pairs = network("llama"), asked()
    expected = Scorer(model, list, 0, 400).score_ids(pairs)
    found = Scorer(model.to("cuda"), list, 0, 400).score_ids(pairs)
    for one, other in zip(found, expected, strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-4)


def test_each_beginning_that_is_worth_it_is_read_once() -> None:
    source = random.Random(3)
    shots, questions = drawn(source, 100), [drawn(source, 50), drawn(source, 40)]
    rows = [shots + question + drawn(source, 5) for question in questions for _ in range(4)]
    pieces = pieces_of(rows, [3] * 8)
    assert [(piece.start, piece.length) for piece in pieces] == [(0, 100)]
    assert sorted(one.length for one in pieces[0].below) == [40, 50]
    assert tokens(pieces) == 100 + 50 + 40 + 8 * 5
    assert sorted(piece.text for piece in leaves(pieces)) == list(range(8))
    assert all(piece.row == rows[piece.text] for piece in leaves(pieces))
    word = shots[: LEAST - 1]  # many texts begin with it
    assert all(not piece.below for piece in pieces_of([(*word, n, *drawn(source, 9)) for n in range(60)], [1] * 60))
    few = pieces_of([(*shots[: WORTH - 1], 1), (*shots[: WORTH - 1], 2)], [1, 1])
    assert [piece.below for piece in few] == [[], []]


def test_states_that_are_asked_for_belong_to_one_text() -> None:
    """Where a text ends within another, and where the states of a shared beginning are asked for."""
    row = drawn(random.Random(4), 120)
    pieces = pieces_of([row, row[:80]], [2, 30])
    assert (tokens(pieces), pieces[0].length) == (120 + 30, 50)
    assert all(piece.length >= 2 for piece in leaves(pieces))


def test_nothing_shared_and_nothing_at_all() -> None:
    assert pieces_of([], []) == []
    assert list(PrefixReader(network("llama"), 10).states([])) == []
    source = random.Random(5)
    rows = [drawn(source, 20) for _ in range(5)]
    assert tokens(pieces_of(rows, [1] * 5)) == 100


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However deep texts share beginnings of beginnings, and however many follow one."""
    source, row, rows = random.Random(6), (), []
    for _ in range(8):
        row += drawn(source, 40)
        rows += [row + drawn(source, 3) for _ in range(25)]
    pieces = pieces_of(rows, [1] * len(rows))
    assert levels(pieces) == MOST_LEVELS
    model = network("llama", 500)
    real, seen = model.hidden, []

    def hidden(ids: torch.Tensor, cache: object = None, **given: object) -> torch.Tensor:
        seen.append((ids.numel(), len(ids) * (ids.shape[1] + getattr(cache, "length", 0)), len(ids)))
        return real(ids, cache, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "hidden", hidden)
    for _ in PrefixReader(model, 600).states(pieces):
        pass
    assert max(read for read, _, _ in seen) <= 600
    assert max(kept for _, kept, _ in seen) <= 1200
    assert max(rows for _, _, rows in seen) > 20
