"""model/presets.py: each preset has about the number of weights in its name."""

from __future__ import annotations

import pytest
import torch

from model.gpt import GPT
from model.presets import PRESETS
from model.shape import GPTConfig


def weights(preset: str, vocab_size: int) -> int:
    with torch.device("meta"):
        return GPT(GPTConfig.model_validate({"preset": preset, "vocab_size": vocab_size})).count_parameters()


@pytest.mark.parametrize(
    ("preset", "published"),
    # transformers' counts of the public checkpoints, which have 50,257 tokens
    [("gpt2-124m", 124_439_808), ("gpt2-355m", 354_823_168), ("gpt2-774m", 774_030_080), ("gpt2-1.5b", 1_557_611_200)],
)
def test_gpt2_has_the_published_weights(preset: str, published: int) -> None:
    assert weights(preset, 50_257) == published


@pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith("llama-")])
def test_a_llama_is_as_large_as_its_name_says(preset: str) -> None:
    size = preset.removeprefix("llama-")
    named = float(size[:-1]) * (1e9 if size.endswith("b") else 1e6)
    assert weights(preset, 32_768) == pytest.approx(named, rel=0.06)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith("demo")])
def test_a_demo_model_stays_small(preset: str) -> None:
    assert weights(preset, 4096) < 8e6
