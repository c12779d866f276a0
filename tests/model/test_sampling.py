"""model/sampling.py: filters keep to their limits, each row draws from its own generator, nonsense is refused."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.sampling import Drawing, Sampling, choose, exponential, filtered, penalised

LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
CPU = torch.device("cpu")


def drawing(sampling: Sampling, prompt: list[int] | None = None, vocab_size: int = 4) -> Drawing:
    return Drawing(sampling, prompt or [0], vocab_size, CPU)


def probabilities(sampling: Sampling) -> torch.Tensor:
    return filtered(LOGITS[None], sampling)[0]


def test_top_k_and_top_p_and_min_p() -> None:
    two = torch.tensor([0.625, 0.375, 0.0, 0.0])
    for sampling in (
        Sampling(1.0, top_k=2),
        Sampling(1.0, top_p=0.7),
        Sampling(1.0, min_p=0.5),
        Sampling(1.0, top_p=0.9, min_p=0.5),
    ):
        torch.testing.assert_close(probabilities(sampling), two)
    assert probabilities(Sampling(1.0, top_p=0.01)).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert probabilities(Sampling(1.0, min_p=1.0)).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert probabilities(Sampling(0.01)).argmax() == 0
    torch.testing.assert_close(probabilities(Sampling(1.0, top_k=99)), LOGITS.exp())


@pytest.mark.parametrize("temperature", [1e-40, 5e-324, 1e-8])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    assert probabilities(Sampling(temperature)).tolist() == [1.0, 0.0, 0.0, 0.0]


def test_the_penalty_makes_what_was_seen_less_likely() -> None:
    logits = torch.tensor([2.0, -2.0, 2.0, -2.0])
    seen = torch.tensor([True, True, False, False])
    assert penalised(logits, seen, 2.0).tolist() == [1.0, -4.0, 2.0, -2.0]
    rows = torch.tensor([[3.0, 2.9, 0.0, 0.0]])
    one = drawing(Sampling(repetition_penalty=1.1), prompt=[0])
    assert [int(choose(rows, [one])) for _ in range(3)] == [1, 0, 0]  # then both are seen
    assert rows[0, 0] == 3.0  # the caller's logits are his


@given(
    st.lists(
        st.builds(
            Sampling,
            temperature=st.sampled_from([0.0, 0.7, 1.0, 3.0]),
            top_k=st.sampled_from([0, 1, 5]),
            top_p=st.sampled_from([0.3, 0.9, 1.0]),
            seed=st.integers(0, 5),
            min_p=st.sampled_from([0.0, 0.2]),
            repetition_penalty=st.sampled_from([1.0, 1.5, 0.5]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_row_does_not_depend_on_the_rows_beside_it(samplings: list[Sampling]) -> None:
    logits = torch.randn(8, len(samplings), 20, generator=torch.Generator().manual_seed(1)) * 3
    together = [drawing(sampling, [3, 4], 20) for sampling in samplings]
    alone = [drawing(sampling, [3, 4], 20) for sampling in samplings]
    for step in logits:
        chosen = choose(step, together).tolist()
        assert chosen == [int(choose(row[None], [one])) for row, one in zip(step, alone, strict=True)]


@given(
    st.integers(0, 9),
    st.sampled_from([0, 1, 3, 40, 299, 300]),
    st.sampled_from([0.1, 0.5, 0.9, 0.999, 1.0]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.5, 4.0]),
    st.booleans(),
)
def test_filters_are_those_of_the_definition(
    seed: int, top_k: int, top_p: float, min_p: float, spread: float, ties: bool
) -> None:
    logits = torch.randn(3, 300, generator=torch.Generator().manual_seed(seed)) * spread
    if ties:
        logits = logits.round()
    for row, found in zip(logits, filtered(logits, Sampling(1.0, top_k, top_p, min_p=min_p)), strict=True):
        kept = row.exp()
        if top_k:
            kept[row < row.sort(descending=True).values[top_k - 1]] = 0
        kept = kept / kept.sum()
        order = kept.sort(descending=True, stable=True).indices
        kept[order[kept[order].cumsum(0) - kept[order] >= top_p]] = 0
        kept[kept < kept.max() * min_p] = 0
        torch.testing.assert_close(found, kept / kept.sum())


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("top_p", [0.5, 0.95, 0.9999])
def test_a_wide_nucleus_is_that_of_a_whole_sort(spread: float, top_p: float) -> None:
    """Of 5,000 tokens some hundred or nearly all, with and without a row beside it that needs a few."""
    logits = torch.randn(3, 5000, generator=torch.Generator().manual_seed(1)) * torch.tensor([[spread], [spread], [9]])
    probabilities = (logits - logits.amax(dim=-1, keepdim=True)).softmax(dim=-1)
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    kept = torch.zeros_like(probabilities, dtype=torch.bool).scatter(-1, order, ordered.cumsum(-1) - ordered < top_p)
    for rows in ([0, 1], [0, 1, 2], [2]):
        found = filtered(logits[rows], Sampling(1.0, top_p=top_p))
        assert torch.equal(found > 0, kept[rows])
        whole = probabilities[rows] * kept[rows]
        torch.testing.assert_close(found, whole / whole.sum(dim=-1, keepdim=True))


def test_the_frequencies_are_the_probabilities() -> None:
    """For one token of many texts, and for many tokens of one text."""
    many = choose(LOGITS.expand(4000, 4), [drawing(Sampling(1.0, seed=seed)) for seed in range(4000)])
    one = drawing(Sampling(1.0, seed=3))
    row = torch.stack([choose(LOGITS[None], [one])[0] for _ in range(4000)])
    for tokens in (many, row):  # 0.03 is 3.8 standard deviations
        torch.testing.assert_close(torch.bincount(tokens, minlength=4) / 4000, LOGITS.exp(), atol=0.03, rtol=0)


def test_noise_is_exponential_and_of_each_token_its_own() -> None:
    keys = torch.tensor([[drawing(Sampling(seed=seed)).next_key()] for seed in range(100)])
    noise = exponential(keys, torch.arange(2000))
    assert noise.dtype == torch.float32
    assert float(noise.min()) > 0
    assert float(noise.mean()) == pytest.approx(1.0, abs=0.01)
    for limit in (1e-4, 0.1, 1.0, 5.0):
        expected = 200_000 * -math.expm1(-limit)
        assert int((noise < limit).sum()) == pytest.approx(expected, abs=4 * math.sqrt(expected))
    ids = torch.tensor([7, 1999]).expand(100, 2)
    assert torch.equal(exponential(keys, ids), noise[:, [7, 1999]])
    between = torch.corrcoef(torch.stack([noise[0], noise[1], noise[0].roll(1)]))
    assert float((between - torch.eye(3)).abs().max()) < 0.1


def test_noise_is_splitmix64s() -> None:
    """The first numbers of the published generator that starts at 1234567."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    noise = exponential(torch.tensor([[1234567]]), torch.tensor([1, 2, 3]))
    uniform = [(number >> 40) * 2.0**-24 + ((number & 0xFFFFFF) + 0.5) * 2.0**-48 for number in published]
    assert noise[0].tolist() == pytest.approx([-math.log1p(-one) for one in uniform], rel=1e-5)


def test_last_digits_decide_only_between_tokens_that_close() -> None:
    """Also at the border of the nucleus: what comes in or goes out there changes the other tokens' draws in nothing."""
    logits = torch.randn(2000, 300, generator=torch.Generator().manual_seed(2))
    nearly = logits + 1e-5 * torch.randn(2000, 300, generator=torch.Generator().manual_seed(3))
    chosen, other = (
        choose(rows, [Drawing(Sampling(1.0, top_p=0.9, seed=seed), [0], 300, CPU) for seed in range(2000)])
        for rows in (logits, nearly)
    )
    assert int((chosen != other).sum()) <= 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": -1.0}, "needs a finite temperature"),
        ({"temperature": math.inf}, "needs a finite temperature"),
        ({"temperature": math.nan}, "needs a finite temperature"),
        ({"top_k": -1}, "top_k ≥ 0"),
        ({"top_p": 0.0}, "0 < top_p ≤ 1"),
        ({"top_p": 1.1}, "0 < top_p ≤ 1"),
        ({"top_p": math.nan}, "0 < top_p ≤ 1"),
        ({"min_p": -0.1}, "0 ≤ min_p ≤ 1"),
        ({"min_p": 1.5}, "0 ≤ min_p ≤ 1"),
        ({"min_p": math.nan}, "0 ≤ min_p ≤ 1"),
        ({"repetition_penalty": 0.0}, "a finite repetition_penalty > 0"),
        ({"repetition_penalty": -1.2}, "a finite repetition_penalty > 0"),
        ({"repetition_penalty": math.inf}, "a finite repetition_penalty > 0"),
        ({"repetition_penalty": math.nan}, "a finite repetition_penalty > 0"),
        ({"seed": 2**64}, "does not fit 64 bits"),
        ({"seed": -(2**63) - 1}, "does not fit 64 bits"),
        ({"stop": ("a", "")}, "none of them empty"),
        ({"stop": "word"}, "must be a tuple of strings"),
    ],
)
def test_impossible_sampling_is_refused(fields: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Sampling(**fields)


def test_biases_are_added_and_what_was_written_is_penalised() -> None:
    logits = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    biased = drawing(Sampling(logit_bias=((2, 5.0), (0, -100.0))))
    assert choose(logits, [biased]).tolist() == [2]
    repeated = drawing(Sampling(presence_penalty=0.6, frequency_penalty=0.5))
    rows = torch.tensor([[2.0, 0.5, -9.0, -9.0]])
    # 2.0, then 2.0 - 0.6 - 0.5, then 2.0 - 0.6 - 2 · 0.5 = 0.4 < 0.5
    assert [int(choose(rows, [repeated])) for _ in range(3)] == [0, 0, 1]
    untouched = rows.clone()
    choose(rows, [biased])
    assert torch.equal(rows, untouched)


@pytest.mark.parametrize("field", ["presence_penalty", "frequency_penalty"])
def test_penalties_are_finite(field: str) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Sampling(**{field: math.nan})
    with pytest.raises(ValueError, match="must be finite"):
        Sampling(logit_bias=((0, math.inf),))
