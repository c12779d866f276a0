"""The names and shapes of weights in a Hugging Face folder, beside those of our network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from model.huggingface.config import config_from
from model.huggingface.folder import ModelFolder, NoModelFolder, some
from model.shape import GPTConfig

HEAD = "lm_head.weight"
_BODY = {"gpt2": "transformer.", "llama": "model.", "qwen3": "model."}
# Constants that older versions stored beside the weights.
_NO_WEIGHT = re.compile(r"h\.\d+\.attn\.(?:bias|masked_bias)|(?:layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")
_FLOATS = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True)
class Weight:
    """A tensor of a Hugging Face folder, and which of our parameters it is.

    GPT-2 keeps matrices transposed (its Conv1D maps rows to columns), and has queries, keys and values in one.
    """

    theirs: str
    shape: tuple[int, ...]
    ours: tuple[str, ...]
    transposed: bool = False


def weights_of(config: GPTConfig) -> Iterator[Weight]:
    """Yield every weight of a model, by its full name in `transformers`."""
    body = _BODY[config.family]
    width, vocab = config.d_model, config.vocab_size
    if config.family == "gpt2":
        yield Weight(f"{body}wte.weight", (vocab, width), ("embed_tokens.weight",))
        yield Weight(f"{body}wpe.weight", (config.max_seq_len, width), ("embed_positions.weight",))
        for layer in range(config.n_layer):
            yield from _gpt2_block(config, f"{body}h.{layer}.", f"layers.{layer}.")
        yield from _norm(f"{body}ln_f", "norm", width)
    else:
        yield Weight(f"{body}embed_tokens.weight", (vocab, width), ("embed_tokens.weight",))
        for layer in range(config.n_layer):
            yield from _llama_block(config, body, f"layers.{layer}.")
        yield Weight(f"{body}norm.weight", (width,), ("norm.weight",))
    if not config.tie_embeddings:
        yield Weight(HEAD, (vocab, width), (HEAD,))


def _gpt2_block(config: GPTConfig, theirs: str, ours: str) -> Iterator[Weight]:
    width, inner = config.d_model, config.d_ff
    yield from _norm(f"{theirs}ln_1", f"{ours}input_layernorm", width)
    parts = tuple(f"{ours}self_attn.{part}_proj" for part in "qkv")
    yield from _conv(f"{theirs}attn.c_attn", parts, width, 3 * width)
    yield from _conv(f"{theirs}attn.c_proj", (f"{ours}self_attn.o_proj",), width, width)
    yield from _norm(f"{theirs}ln_2", f"{ours}post_attention_layernorm", width)
    yield from _conv(f"{theirs}mlp.c_fc", (f"{ours}mlp.up_proj",), width, inner)
    yield from _conv(f"{theirs}mlp.c_proj", (f"{ours}mlp.down_proj",), inner, width)


def _norm(theirs: str, ours: str, width: int) -> Iterator[Weight]:
    for part in ("weight", "bias"):
        yield Weight(f"{theirs}.{part}", (width,), (f"{ours}.{part}",))


def _conv(theirs: str, ours: tuple[str, ...], wide: int, to: int) -> Iterator[Weight]:
    yield Weight(f"{theirs}.weight", (wide, to), tuple(f"{one}.weight" for one in ours), transposed=True)
    yield Weight(f"{theirs}.bias", (to,), tuple(f"{one}.bias" for one in ours))


def _llama_block(config: GPTConfig, body: str, layer: str) -> Iterator[Weight]:
    width, head = config.d_model, config.head_dim
    queries, keys = config.n_head * head, config.n_kv_head * head
    shapes: dict[str, tuple[int, ...]] = {
        "input_layernorm": (width,),
        "self_attn.q_proj": (queries, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, queries),
        "post_attention_layernorm": (width,),
        "mlp.gate_proj": (config.d_ff, width),
        "mlp.up_proj": (config.d_ff, width),
        "mlp.down_proj": (width, config.d_ff),
    }
    if config.family == "qwen3":
        shapes |= {"self_attn.q_norm": (head,), "self_attn.k_norm": (head,)}
    for name, shape in shapes.items():
        yield Weight(f"{body}{layer}{name}.weight", shape, (f"{layer}{name}.weight",))


def check_folder(folder: ModelFolder) -> GPTConfig:
    """Return the config of a folder's model after all checks that need no weights; raises NoModelFolder."""
    config = config_from(folder.config)
    if folder.tensors is not None:
        found_names(config, {name: (one.dtype, one.shape) for name, one in folder.tensors.items()})
    return config


def found_names(config: GPTConfig, there: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, str]:
    """Return the name in the files of each weight, by its full name in `transformers`.

    `there` has type and shape of each tensor in the files, where the name may lack the prefix of the body. A tied
    output matrix that is stored all the same is `lm_head.weight`. Raises NoModelFolder with everything that is missing,
    unexpected or misshapen.
    """
    body = _BODY[config.family]
    named: dict[str, str] = {}
    problems: list[str] = []
    twice: list[str] = []
    for name in there:
        bare = name.removeprefix(body)
        if _NO_WEIGHT.fullmatch(bare):
            continue
        full = name if name == HEAD else body + bare
        if full in named:
            twice.append(name)
        named[full] = name
    wanted = {weight.theirs: weight.shape for weight in weights_of(config)}
    known = {**wanted, HEAD: (config.vocab_size, config.d_model)}
    if twice:
        problems.append(f"these tensors are there twice, with and without {body!r}: {some(twice)}")
    if missing := [name for name in wanted if name not in named]:
        problems.append(f"{len(missing)} of {len(wanted)} tensors are missing: {some(missing)}")
    if strange := [there_name for full, there_name in named.items() if full not in known]:
        problems.append(f"{len(strange)} tensors belong to no part of such a model: {some(strange)}")
    wrong = [
        f"{name} has the shape {_shape(there[name][1])} instead of {_shape(known[full])}"
        for full, name in named.items()
        if full in known and there[name][1] != known[full]
    ]
    if wrong:
        problems.append(f"{some(wrong)}, which config.json asks for")
    if odd := [f"{name} ({there[name][0]})" for name in named.values() if there[name][0] not in _FLOATS]:
        problems.append(f"these tensors are no floating-point numbers of 16 to 64 bits: {some(odd)}")
    if problems:
        raise NoModelFolder("The weights do not fit config.json: " + "; ".join(problems) + ".")
    return named


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "()"
