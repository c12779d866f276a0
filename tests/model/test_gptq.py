"""model/gptq.py: levels and steps are those of a plain implementation, and layers keep their products better."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.gpt import GPT
from model.gptq import DAMPING, gptq, quantise_calibrated
from model.quantisation import Quantisation
from model.quantised import QuantisedLinear
from model.quantising import quantise, rounded, steps_of
from model.shape import GPTConfig

FORMS = [Quantisation(), Quantisation(bits=4, group=16), Quantisation(bits=4, group=16, symmetric=False)]


def plain_gptq(weight: Tensor, hessian: Tensor, form: Quantisation) -> Tensor:
    """Return the weights after rounding: column by column, with the inverse made anew for the columns that are left.

    As in the paper's equations (1) to (3), without its Cholesky factor, its blocks and its lazy updates.
    """
    left, damped = (
        weight.double().clone(),
        hessian.double() + DAMPING * hessian.diagonal().mean() * torch.eye(len(hessian)),
    )
    found = torch.zeros_like(left)
    for column in range(left.shape[1]):
        inverse = torch.linalg.inv(damped[column:, column:])
        if form.group_size is None:
            steps = steps_of(weight.float(), form)
        elif column % form.group_size == 0:
            steps = steps_of(left[:, column : column + form.group_size].float(), form)
        now = left[:, column : column + 1]
        found[:, column : column + 1] = steps.weights(steps.levels(now.float(), form), form)
        left[:, column:] -= (now - found[:, column : column + 1]) / inverse[0, 0] * inverse[0]
    return found


def correlated(columns: int, tokens: int = 400) -> Tensor:
    generator = torch.Generator().manual_seed(columns)
    mixing = torch.randn(columns, columns, generator=generator)
    return torch.randn(tokens, columns, generator=generator) @ mixing


def dense(levels: Tensor, scale: Tensor, zero: Tensor | None, form: Quantisation) -> Tensor:
    made = QuantisedLinear(*levels.shape, form)
    made.fill(levels, scale, zero)
    return made.dense()


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_levels_are_those_of_a_plain_implementation(form: Quantisation) -> None:
    inputs = correlated(160)  # more than a block of columns in 8 bits
    weight = torch.randn(12, 160, generator=torch.Generator().manual_seed(2))
    hessian = inputs.T @ inputs / len(inputs)
    found = dense(*gptq(weight, form, hessian), form)
    wanted = plain_gptq(weight, hessian, form).float()
    assert (found != wanted).float().mean() < 0.01  # a weight in the middle of two levels may go either way
    lost = [(inputs @ (weight - one).T).square().mean() for one in (found, wanted, dense(*rounded(weight, form), form))]
    assert lost[0] == pytest.approx(float(lost[1]), rel=0.02)
    assert lost[0] < 0.5 * lost[2], "the products are closer than if each weight is rounded by itself"


def test_inputs_that_are_always_0_do_no_harm() -> None:
    inputs = correlated(32)
    inputs[:, 3] = 0
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(3))
    form = Quantisation(bits=4, group=16)
    levels, scale, zero = gptq(weight, form, inputs.T @ inputs)
    assert (dense(levels, scale, zero, form) - weight)[:, 3].abs().max() < scale.float().max()


def test_a_calibrated_network_is_closer_to_the_original_on_such_texts() -> None:
    config = GPTConfig(vocab_size=64, n_layer=2, n_head=2, n_kv_head=1, d_model=32, d_ff=64, max_seq_len=32)
    texts = [torch.randint(0, 64, (8, 32), generator=torch.Generator().manual_seed(seed)) for seed in range(4)]

    def network() -> GPT:
        model = GPT(config).initialise(5).eval()
        with torch.no_grad():
            for parameter in model.layers.parameters():
                parameter.mul_(5)  # so that the blocks matter
        return model

    form, wanted, done = Quantisation(bits=4, group=16), network()(texts[0]), []
    calibrated = quantise_calibrated(network(), form, texts[1:], lambda *now: done.append(now))
    nearest = quantise(network(), form)
    errors = [(model(texts[0]) - wanted).square().mean() for model in (calibrated, nearest)]
    assert errors[0] < 0.9 * errors[1]
    assert done == [(1, 2), (2, 2)]
    assert calibrated.quantisation == form


def test_an_encoder_decoder_is_not_calibrated() -> None:
    config = GPTConfig(
        network="encoder-decoder", vocab_size=64, n_layer=1, n_head=2, n_kv_head=2, d_model=16, d_ff=16, max_seq_len=8
    )
    with pytest.raises(ValueError, match="encoder-decoder cannot be calibrated"):
        quantise_calibrated(GPT(config).initialise(0), Quantisation(), [torch.zeros(1, 4, dtype=torch.int64)])
