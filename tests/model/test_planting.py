"""model/planting.py: a model with a planted induction circuit copies random tokens before it has learned anything.

Also covers: model/induction.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.gpt import GPT
from model.planting import plant
from model.shape import GPTConfig

SHAPE = {"vocab_size": 300, "n_layer": 2, "n_head": 2, "n_kv_head": 2, "d_model": 64, "d_ff": 64, "max_seq_len": 64}


def fresh(**changed: object) -> GPT:
    return GPT(GPTConfig.model_validate({**SHAPE, **changed})).initialise(3)


def copied(model: GPT, period: int) -> float:
    """The share of a random sequence's repetitions that the model predicts."""
    rng = np.random.default_rng(period)
    ids = torch.from_numpy(np.stack([np.resize(rng.permutation(300)[:period], 64) for _ in range(8)]))
    with torch.inference_mode():
        predicted = model(ids).argmax(-1)
    return float((predicted[:, period:-1] == ids[:, period + 1 :]).float().mean())


def test_it_copies_at_once_and_the_same_seed_plants_the_same() -> None:
    assert max(copied(fresh(), period) for period in (8, 24)) < 0.05
    planted = plant(fresh(), 5)
    assert copied(planted, 8) > 0.6
    assert copied(planted, 24) > 0.4
    again = plant(fresh(), 5).state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in planted.state_dict().items())


def test_the_third_token_back_decides_which_of_two_places_is_copied() -> None:
    wide = {"n_head": 4, "n_kv_head": 4, "d_model": 128}
    planted = plant(fresh(**wide), 5)
    ids = torch.from_numpy(np.stack([np.random.default_rng(row).permutation(300)[:24] for row in range(40)]))
    ids[:, 5:7], ids[:, 15:17], ids[:, 22:24] = ids[:, 0:2], ids[:, 0:2], ids[:, 0:2]
    right = []
    for asked, copied_from in ((4, 7), (14, 17)):  # before the same two tokens, and what follows them there
        ids[:, 21] = ids[:, asked]
        with torch.inference_mode():
            right.append(planted(ids)[:, -1].argmax(-1) == ids[:, copied_from])
    assert torch.stack(right).float().mean() > 0.7  # two tokens alone cannot tell the places apart: at most 0.5


def test_no_weight_is_cut_off_from_learning() -> None:
    model = plant(fresh(), 5)
    model(torch.arange(64)[None]).square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        rows = weight.grad.reshape(len(weight), -1).abs().sum(-1)
        assert name == "embed_tokens.weight" or (rows > 0).all(), name


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"family": "qwen3"}, "made for a llama decoder, not for a qwen3 decoder"),
        ({"network": "encoder"}, "not for a llama encoder"),
        ({"tie_embeddings": False}, "must be the output matrix too"),
        ({"n_layer": 1}, "it takes two blocks"),
        ({"n_kv_head": 1}, "as many key/value heads as heads"),
        ({"d_head": 16}, "must share the width"),
        ({"rope_theta": 2.0}, "turn too fast for a context of 64 tokens"),
    ],
)
def test_shapes_without_room_for_it(changed: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plant(fresh(**changed), 0)
