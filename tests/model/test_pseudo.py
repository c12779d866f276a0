"""model/pseudo.py: one hidden token at a time, in batches of any size."""

from __future__ import annotations

import pytest
import torch

from model.gpt import GPT
from model.pseudo import pseudo_log_likelihoods
from model.shape import GPTConfig

CONFIG = GPTConfig(
    vocab_size=40, network="encoder", n_layer=2, n_head=2, n_kv_head=2, d_model=16, d_ff=24, max_seq_len=16
)


@pytest.mark.parametrize("batch_tokens", [1, 20, 8192])
def test_each_token_is_named_from_all_others(batch_tokens: int) -> None:
    model = GPT(CONFIG).initialise(1).eval()
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    found = pseudo_log_likelihoods(model, ids, [0, 3, 7], mask=39, batch_tokens=batch_tokens)
    for place, (value, first) in zip([0, 3, 7], found, strict=True):
        hidden = ids.copy()
        hidden[place] = 39
        expected = model(torch.tensor([hidden])).log_softmax(-1)[0, place].detach()
        assert value == pytest.approx(expected[ids[place]].item(), rel=1e-5)
        assert first == expected.argmax().item()


def test_only_an_encoder_and_only_what_fits() -> None:
    with pytest.raises(ValueError, match="decoder sees only what comes before"):
        pseudo_log_likelihoods(GPT(CONFIG.model_copy(update={"network": "decoder"})), [1], [0], 39)
    with pytest.raises(ValueError, match="17 tokens do not fit the model's context of 16"):
        pseudo_log_likelihoods(GPT(CONFIG), [1] * 17, [0], 39)
    assert pseudo_log_likelihoods(GPT(CONFIG), [1], [], 39) == []
