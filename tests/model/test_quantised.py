"""model/quantised.py: 4 bits come back as they were packed, and each way to multiply gives the same product."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import quantised
from model.quantisation import Quantisation
from model.quantised import FEW, QuantisedLinear, packed, unpacked
from model.quantising import rounded

FORMS = [Quantisation(), Quantisation(bits=4, group=32), Quantisation(bits=4, group=64, symmetric=False)]


@given(st.integers(1, 5), st.integers(1, 9), st.randoms(use_true_random=False))
def test_levels_of_4_bits_come_back(rows: int, pairs: int, random: object) -> None:
    levels = torch.randint(0, 16, (rows, 2 * pairs), generator=torch.Generator().manual_seed(random.getrandbits(31)))  # type: ignore[attr-defined]
    stored = packed(levels)
    assert stored.shape == (rows, pairs)
    assert torch.equal(unpacked(stored).long(), levels)


def layer(form: Quantisation, rows: int, columns: int) -> QuantisedLinear:
    generator = torch.Generator().manual_seed(rows)
    made = QuantisedLinear(rows, columns, form, bias=True)
    made.fill(*rounded(torch.randn(rows, columns, generator=generator), form))
    assert made.bias is not None
    made.bias.copy_(torch.arange(rows).float())
    return made


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("given_rows", [1, 3, FEW + 1])
def test_torchs_kernels_multiply_like_the_dense_matrix(
    form: Quantisation, given_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantised, "SMALL", 0)
    made = layer(form, 48, 128)
    assert made._kernel() is not None
    x = torch.randn(given_rows, 1, 128, generator=torch.Generator().manual_seed(1))
    wanted = x.bfloat16().float() @ made.dense().T
    found = made(x)
    assert found.dtype == torch.float32
    assert found.shape == (given_rows, 1, 48)
    assert torch.allclose(found - torch.arange(48), wanted, rtol=2**-7, atol=0.02)  # a product is rounded to bfloat16


@pytest.mark.parametrize(
    ("form", "rows", "columns"),
    [
        (Quantisation(), 16, 40),  # torch's kernel would end the process
        (Quantisation(bits=4, group=32), 24, 64),
        (Quantisation(bits=4, group=16), 16, 64),
    ],
)
def test_shapes_without_a_kernel_are_multiplied_exactly(
    form: Quantisation, rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantised, "SMALL", 0)
    made = layer(form, rows, columns)
    x = torch.randn(2, columns)
    assert torch.equal(made(x), torch.nn.functional.linear(x, made.dense()) + torch.arange(rows))


@settings(max_examples=20)
@given(st.sampled_from([8, 4]), st.integers(1, 4))
def test_small_matrices_are_exact_and_new_levels_count(bits: int, seed: int) -> None:
    form = Quantisation(bits=bits)  # type: ignore[arg-type]
    made, x = layer(form, 16, 64), torch.randn(1, 64)
    before = made(x)
    made.fill(*rounded(torch.full((16, 64), float(seed)), form))
    assert not torch.equal(made(x), before)
    assert torch.allclose(made(x), seed * x.sum() + torch.arange(16), atol=0.01 * seed + 0.1 * seed * x.abs().sum())
