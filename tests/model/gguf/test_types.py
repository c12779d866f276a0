"""model/gguf/types.py: which tensor gets which type, as llama.cpp's own tool chooses."""

from __future__ import annotations

from collections import Counter

from model.gguf.tensors import tensors_of
from model.gguf.types import MIXTURES, GgufName, type_of
from model.gpt import GPT
from model.shape import GPTConfig

DEMO = GPTConfig(vocab_size=64, n_layer=8, d_model=256, d_ff=512, n_head=4, n_kv_head=2)


def types(kind: GgufName, config: GPTConfig = DEMO) -> dict[str, str]:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors_of(GPT(config))}
    return {name: type_of(name, shape, config, MIXTURES[kind]) for name, shape in shapes.items()}


def test_the_matrices_that_lose_most_get_more_bits() -> None:
    found = types("q4_k_m")
    assert found["token_embd.weight"] == "Q6_K"  # it is the output matrix too
    finer = {name for name, one in found.items() if one == "Q6_K" and name.startswith("blk")}
    assert finer == {f"blk.{layer}.{part}.weight" for layer in (0, 3, 6, 7) for part in ("attn_v", "ffn_down")}
    assert Counter(types("q5_k_m").values())["Q5_K"] == Counter(found.values())["Q4_K"] == 8 * 7 - 8
    assert set(types("q8_0").values()) == {"Q8_0", "F32"}
    assert {name for name, one in types("f16").items() if one == "F32"} == {n for n in found if "norm" in n}


def test_an_embedding_that_is_not_the_output_matrix_is_like_most() -> None:
    apart = types("q4_k_m", GPTConfig(**{**DEMO.model_dump(), "tie_embeddings": False}))
    assert (apart["token_embd.weight"], apart["output.weight"]) == ("Q4_K", "Q6_K")
    gpt2 = types("q4_0", GPTConfig(**{**DEMO.model_dump(), "family": "gpt2", "n_kv_head": 4}))
    assert (gpt2["token_embd.weight"], gpt2["output.weight"], gpt2["position_embd.weight"]) == ("Q4_0", "Q6_K", "F32")


def test_rows_that_blocks_do_not_divide_have_smaller_blocks_or_none() -> None:
    narrow = GPTConfig(vocab_size=64, n_layer=1, d_model=96, d_ff=40, n_head=4, n_kv_head=4)
    found = types("q4_k_m", narrow)
    assert (found["blk.0.attn_q.weight"], found["token_embd.weight"]) == ("Q5_0", "Q8_0")
    assert found["blk.0.ffn_down.weight"] == "F16"
    assert types("q5_k_m", narrow)["blk.0.attn_q.weight"] == "Q5_1"
