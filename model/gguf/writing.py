"""A GGUF file written from a model: its shape, its tokenizer with the chat template, and its weights."""

from __future__ import annotations

from pathlib import Path

from model.files import whole_path
from model.gguf.quantising import quantised
from model.gguf.tensors import tensors_of
from model.gguf.types import MIXTURES, GgufName, check_network, type_of
from model.gguf.vocabulary import GgufVocabulary
from model.gpt import GPT
from model.shape import GPTConfig

PRODUCER = "textmill"


def write_gguf(
    model: GPT, vocabulary: GgufVocabulary, path: Path, kind: GgufName, *, name: str, chat_template: str | None
) -> None:
    """Write a model as a file with weights of one kind of precision.

    Raises ValueError if llama.cpp has no such network.
    """
    import gguf

    config = model.config
    check_network(config)
    mixture = MIXTURES[kind]
    with whole_path(path) as part:
        writer = gguf.GGUFWriter(part, config.family)
        writer.add_name(name)
        writer.add_string("general.quantized_by", PRODUCER)
        writer.add_file_type(mixture.file_type)
        _shape(writer, config)
        _vocabulary(writer, vocabulary)
        if chat_template is not None:
            writer.add_chat_template(chat_template)
        for tensor_name, tensor in tensors_of(model):
            as_type = type_of(tensor_name, tuple(tensor.shape), config, mixture)
            array = tensor.contiguous().numpy()
            if as_type in ("F32", "F16"):
                writer.add_tensor(tensor_name, array.astype("float16" if as_type == "F16" else "float32"))
            else:
                kind_there = gguf.GGMLQuantizationType[as_type]
                writer.add_tensor(tensor_name, quantised(array, as_type), raw_dtype=kind_there)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _shape(writer: object, config: GPTConfig) -> None:
    import gguf

    assert isinstance(writer, gguf.GGUFWriter)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_seq_len)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.n_head)
    writer.add_head_count_kv(config.n_kv_head)
    if config.family == "gpt2":
        writer.add_layer_norm_eps(config.norm_eps)
        return
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)


def _vocabulary(writer: object, vocabulary: GgufVocabulary) -> None:
    """Write the tokens. llama.cpp knows three that end a text: of the text, of a turn, of a message."""
    import gguf

    assert isinstance(writer, gguf.GGUFWriter)
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.space_first)
    else:
        writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.bos)
    if vocabulary.pad is not None:
        writer.add_pad_token_id(vocabulary.pad)
    for add, id_ in zip(
        (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id), vocabulary.ends, strict=False
    ):
        add(id_)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
