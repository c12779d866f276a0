"""model/huggingface/export.py: a written folder is proved by reading it again; padding never ends an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.gpt import GPT
from model.huggingface.export import generation_config, prove, write_folder
from model.shape import GPTConfig
from tests.model.huggingface.folders import SHAPES, config_of
from tests.model.huggingface.test_tokens import gpt2_like
from tests.model.vocabulary.small_models import learned_pairs


def model(family: str) -> GPT:
    return GPT(config_of(family, vocab_size=learned_pairs().vocab_size)).initialise(0).eval()


@pytest.mark.parametrize("family", SHAPES)
def test_a_folder_is_whole_and_computes_the_same(family: str, tmp_path: Path) -> None:
    written = model(family).train()
    write_folder(written, learned_pairs(), tmp_path, chat="textmill")
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    assert prove(written, tmp_path) == 0
    assert written.training
    assert "chat_template" in json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o044 == 0o044


def test_what_computes_something_else_is_no_export(tmp_path: Path) -> None:
    written = model("llama")
    write_folder(written, learned_pairs(), tmp_path, chat=None)
    assert "chat_template" not in json.loads((tmp_path / "tokenizer_config.json").read_text())
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.norm.weight"][0] += 0.01
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="has logits that differ by"):
        prove(written, tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**described, "rope_theta": 5e5}))
    with pytest.raises(ValueError, match="has another shape"):
        prove(written, tmp_path)


def test_padding_and_the_end_are_two_tokens() -> None:
    ours, theirs = generation_config(learned_pairs()), generation_config(gpt2_like().with_roles())
    assert ours == {"bos_token_id": 600, "eos_token_id": [601, 600], "pad_token_id": 602, "do_sample": False}
    assert (theirs["eos_token_id"], theirs["pad_token_id"]) == (300, 301)


def test_a_network_of_another_kind_does_not_leave(tmp_path: Path) -> None:
    config = GPTConfig(**{**config_of("llama").model_dump(), "network": "encoder", "vocab_size": 640})
    with pytest.raises(ValueError, match="encoder has no counterpart"), torch.inference_mode():
        write_folder(GPT(config), learned_pairs(), tmp_path, chat=None)
    assert list(tmp_path.iterdir()) == []
