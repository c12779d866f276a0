"""Which networks a GGUF file may hold, and which weight gets which type: the mixtures of llama.cpp's own tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.shape import GPTConfig, GPTShape

GgufName = Literal["f32", "f16", "q8_0", "q4_0", "q4_k_m", "q5_k_m", "q6_k"]


@dataclass(frozen=True)
class Mixture:
    """How a file is quantised: the type of most matrices, of those that need more bits, and of the output matrix.

    file_type: its number in the header (`general.file_type`).
    """

    most: str
    finer: str
    output: str
    file_type: int


MIXTURES: dict[GgufName, Mixture] = {
    "f32": Mixture("F32", "F32", "F32", 0),
    "f16": Mixture("F16", "F16", "F16", 1),
    "q8_0": Mixture("Q8_0", "Q8_0", "Q8_0", 7),
    "q4_0": Mixture("Q4_0", "Q4_0", "Q6_K", 2),
    "q4_k_m": Mixture("Q4_K", "Q6_K", "Q6_K", 15),
    "q5_k_m": Mixture("Q5_K", "Q6_K", "Q6_K", 17),
    "q6_k": Mixture("Q6_K", "Q6_K", "Q6_K", 18),
}
"""What `llama-quantize` makes of a model whose embedding and output matrix are the same or not, by the file's name."""

BLOCKS = {"F32": 1, "F16": 1, "Q8_0": 32, "Q4_0": 32, "Q5_0": 32, "Q5_1": 32, "Q4_K": 256, "Q5_K": 256, "Q6_K": 256}
"""Values of a row that are quantised together; a row has a whole number of blocks."""
_INSTEAD = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # llama.cpp's choice where 256 do not divide a row


def check_network(config: GPTShape) -> None:
    """Raise ValueError if llama.cpp has no network that computes the same."""
    if config.network != "decoder":
        raise ValueError(f"llama.cpp has no network of the kind {config.network} as it is here; only decoders leave.")
    if config.family == "qwen3" and config.rope_scaling is not None:
        raise ValueError("llama.cpp does not stretch the positions of a qwen3 (rope_scaling) as a Llama 3.1 does.")


def type_of(name: str, shape: tuple[int, ...], config: GPTConfig, mixture: Mixture) -> str:
    """Return the type of a tensor: norms, biases and positions stay in float32, as llama.cpp computes with them.

    A row that its block does not divide is quantised in smaller blocks of about as many bits, or kept in float16.
    """
    if len(shape) < 2 or name == "position_embd.weight":
        return "F32"
    tied = config.tie_embeddings and config.family != "gpt2"
    if name == "output.weight" or (name == "token_embd.weight" and tied):
        wanted = mixture.output
    else:
        wanted = mixture.finer if _needs_more(name, config.n_layer) else mixture.most
    if shape[-1] % BLOCKS[wanted]:
        wanted = _INSTEAD.get(wanted, "F16")
    return wanted if shape[-1] % BLOCKS[wanted] == 0 else "F16"


def _needs_more(name: str, layers: int) -> bool:
    """Whether a matrix is one of those that lose most: values and the way down, in the first and last eighth of the
    layers and every third between."""
    parts = name.split(".")
    if parts[0] != "blk" or parts[2] not in ("attn_v", "ffn_down"):
        return False
    layer = int(parts[1])
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
