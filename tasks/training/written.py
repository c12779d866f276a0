"""The folder of a model as an artifact: writing its files, and the contract of what is in them."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_jsonl
from tasks.stage import Artifact, Output, PermanentError

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer


def write_model(
    out: Output,
    model: GPT,
    tokenizer: Tokenizer,
    samples: Iterable[Mapping[str, Any]],
    chat_template: str | None = None,
) -> None:
    """Write a model's folder: weights, config, tokenizer and samples. Nothing else is needed to use the model.

    chat_template: the name (model/templates.py) of the one that the model was taught, None if it only continues texts.
    Raises PermanentError if a weight is not finite.
    """
    import torch

    from model.folder import save_model

    broken = [name for name, weight in model.state_dict().items() if not torch.isfinite(weight).all()]
    if broken:
        raise PermanentError(f"The weights of {', '.join(broken[:3])} are not finite; lower the learning rate.")
    rows = list(samples)
    write_jsonl(out.dir / "samples.jsonl", rows)
    if rows:
        out.table("samples", rows)
    tokenizer.save(out.dir / "tokenizer")
    save_model(model, out.dir, tokenizer_sha256=tokenizer.sha256, chat_template=chat_template)
    out.count(parameters=model.count_parameters())


def model_contract(artifact: Artifact) -> Iterator[str]:
    """Check that a trained model is complete, and that its metrics are finite."""
    yield from whole_model(artifact)
    for name in ("train_loss", "validation_loss", "validation_bits_per_byte"):
        value = artifact.metrics.get(name, math.nan)
        if value is None or not math.isfinite(value):
            yield f"The metric {name} is {value}, not a number."
    if not artifact.counts.get("steps"):
        yield "No optimizer step was counted."


def whole_model(artifact: Artifact) -> Iterator[str]:
    """Check that a model is complete, and that its vocabulary is that of its tokenizer.

    Only the headers are read, so that checking a cached artifact needs neither torch nor the weights.
    """
    described = json.loads((artifact.path / "model.json").read_text())
    tokenizer = json.loads((artifact.path / "tokenizer" / "tokenizer.json").read_text())
    if described.get("tokenizer_sha256") != tokenizer["sha256"]:
        yield (
            f"model.json names tokenizer {str(described.get('tokenizer_sha256'))[:16]}, but the folder holds "
            f"{tokenizer['sha256'][:16]}."
        )
    vocab_size = described["config"]["vocab_size"]
    if vocab_size != tokenizer["vocab_size"]:
        yield f"The model has {vocab_size:,} token ids, its tokenizer {tokenizer['vocab_size']:,}."
    rows = safetensors_header(artifact.path / "model.safetensors")["embed_tokens.weight"]["shape"][0]
    if rows != vocab_size:
        yield f"The embedding has {rows:,} rows, but the vocabulary {vocab_size:,} ids."


def safetensors_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: {tensor: {dtype, shape, data_offsets}}."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))
