"""Each format's writer: it writes a model into a folder, and proves what it wrote with the program that opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from data_lake.store.files import write_whole
from model.gguf.types import GgufName, check_network
from tasks.delivery.export.config import Format
from tasks.delivery.export.leaving import Leaving, Proof, log_likelihoods

ONNX = "model.onnx"
Writer = Callable[[Leaving, Path, Format], Proof]


def writer_of(name: Format) -> Writer:
    """Return the writer of a format. It raises ValueError where the format cannot hold the model, or where what was
    written computes something else."""
    if name == "onnx":
        return _onnx
    return _gguf if name.startswith("gguf-") else _hugging_face


def _hugging_face(leaving: Leaving, folder: Path, name: Format) -> Proof:
    from model.huggingface.export import prove, write_folder
    from model.huggingface.folder import read_folder
    from model.huggingface.weights import read_model

    write_folder(leaving.network, leaving.tokenizer, folder, chat=leaving.chat)
    difference = prove(leaving.network, folder)
    if leaving.held_out is None:
        return Proof(difference, None)
    again = read_model(read_folder(folder))
    reads = leaving.held_out.bits_per_byte(lambda windows: log_likelihoods(again, leaving.tokenizer, windows))
    return Proof(difference, reads)


def gguf_name(name: Format) -> GgufName:
    """Return the type of a GGUF format's weights."""
    return cast("GgufName", name.removeprefix("gguf-"))


def gguf_file(name: Format) -> str:
    """Return the name of a GGUF format's file."""
    return f"model-{gguf_name(name)}.gguf"


def _gguf(leaving: Leaving, folder: Path, name: Format) -> Proof:
    """Write a GGUF file and a Modelfile; llama.cpp itself says what it makes of them."""
    from model.gguf.llama_cpp import LlamaCpp
    from model.gguf.proof import prove_gguf
    from model.gguf.vocabulary import gguf_vocabulary
    from model.gguf.writing import write_gguf
    from model.huggingface.chat_template import jinja_template
    from model.ollama.modelfile import modelfile

    network, tokenizer, chat, held_out = leaving.network, leaving.tokenizer, leaving.chat, leaving.held_out
    kind = gguf_name(name)
    check_network(network.config)
    vocabulary = gguf_vocabulary(tokenizer, chat)
    jinja = jinja_template(tokenizer, chat, plain=True) if chat else None
    path = folder / gguf_file(name)
    write_gguf(network, vocabulary, path, kind, name=leaving.name, chat_template=jinja)
    with LlamaCpp(path, network.config.max_seq_len, lambda id_: tokenizer.decode_bytes([id_])) as opened:
        texts = held_out.texts if held_out else ()
        difference = prove_gguf(opened, path, kind, network.config, tokenizer, vocabulary, chat, texts)
        reads = held_out and held_out.bits_per_byte(
            lambda windows: [opened.log_likelihood(context, following) for context, following in windows]
        )
    write_whole(folder / "Modelfile", modelfile(path.name, network.config, tokenizer, chat))
    return Proof(difference, reads or None, vocabulary.differs)


def _onnx(leaving: Leaving, folder: Path, name: Format) -> Proof:
    """Write the network, and the tokenizer as Hugging Face's libraries open it."""
    from model.huggingface.chat_template import jinja_template
    from model.onnx_network import OnnxNetwork, prove_onnx, write_onnx
    from model.vocabulary.exported import export_tokenizer

    network, tokenizer, chat = leaving.network, leaving.tokenizer, leaving.chat
    export_tokenizer(tokenizer, folder, jinja_template(tokenizer, chat) if chat else None, add_bos=True)
    write_onnx(network, folder / ONNX)
    opened = OnnxNetwork(folder / ONNX)
    difference = prove_onnx(opened, network)
    if leaving.held_out is None:
        return Proof(difference, None)
    reads = leaving.held_out.bits_per_byte(
        lambda windows: [opened.log_likelihood(context, following) for context, following in windows]
    )
    return Proof(difference, reads)
