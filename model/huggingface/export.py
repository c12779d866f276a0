"""A Hugging Face folder written from a model, and proved: read again, it must compute the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.chat import stop_ids
from model.files import whole_path
from model.gpt import GPT
from model.huggingface.chat_template import jinja_template
from model.huggingface.config import config_to
from model.huggingface.folder import CONFIG, SAFETENSORS, read_folder
from model.huggingface.weights import read_model, weights_for_export
from model.templates import TemplateName
from model.tokenizer import Tokenizer
from model.vocabulary.exported import export_tokenizer

GENERATION = "generation_config.json"
TOLERANCE = 1e-5
"""Largest difference of logits between a model and its export, in float32."""


def write_folder(model: GPT, tokenizer: Tokenizer, folder: Path, *, chat: TemplateName | None) -> None:
    """Write weights, configs and tokenizer as `transformers` reads them; chat: the template that it carries.

    Raises ValueError for a network that `transformers` does not have.
    """
    ids = {"bos": tokenizer.bos, "eos": tokenizer.eos, "pad": tokenizer.pad}
    _write_json(folder / CONFIG, config_to(model.config, **ids))
    _write_json(folder / GENERATION, generation_config(tokenizer, chat))
    export_tokenizer(tokenizer, folder, jinja_template(tokenizer, chat) if chat else None, add_bos=True)
    with whole_path(folder / SAFETENSORS) as path:
        save_file(weights_for_export(model), path, metadata={"format": "pt"})
        path.chmod(0o644)  # safetensors makes files that only their owner can read


def generation_config(tokenizer: Tokenizer, chat: TemplateName | None = None) -> dict[str, Any]:
    """Return how `transformers` generates: greedily, as we do, and to the same end.

    An answer ends with the template's end token or <|eos|>, a document where <|bos|> opens the next one. Padding has a
    token of its own: if it were the end token, whoever masks padding by its id would also mask the end, and train a
    model that never stops.
    """
    ends = stop_ids(tokenizer, chat)
    return {
        "bos_token_id": tokenizer.bos,
        "eos_token_id": list(ends) if len(ends) > 1 else ends[0],
        "pad_token_id": tokenizer.pad,
        "do_sample": False,
    }


@torch.inference_mode()
def prove(model: GPT, folder: Path) -> float:
    """Read a written folder again, and return the largest difference of its logits from the model's.

    Raises ValueError if it is more than `TOLERANCE`.
    """
    again = read_model(read_folder(folder))
    if again.config.model_dump() != {**model.config.model_dump(), "dropout": again.config.dropout}:
        raise ValueError(f"The model in {folder} has another shape than the one that was written.")
    ids = probe(model)
    was_training = model.training
    difference = float((model.eval()(ids) - again(ids)).abs().max())
    model.train(was_training)
    if not difference <= TOLERANCE:
        raise ValueError(f"The model in {folder} has logits that differ by {difference:.2g}; {TOLERANCE:g} is allowed.")
    return difference


def probe(model: GPT) -> Tensor:
    """Return two sequences of ids (2, T) that are spread over the vocabulary."""
    length = min(64, model.config.max_seq_len)
    return (torch.arange(2 * length) * 2654435761 % model.config.vocab_size).view(2, length)


def _write_json(path: Path, described: dict[str, Any]) -> None:
    with whole_path(path) as part:
        part.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
