"""Pretraining that goes on from a model: its shape takes the place of the recipe's, and its vocabulary stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.shape import GPTShape
from tasks.stage import Artifact, Output, PermanentError
from tasks.training.trained import config_of, load_trained

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer
    from tasks.training.pretrain.config import PretrainConfig


def load_base(base: Artifact, tokenizer: Tokenizer, config: PretrainConfig, out: Output) -> tuple[GPT, PretrainConfig]:
    """Return the model to go on from, and the config with its shape.

    Raises PermanentError if the recipe asks for another shape, or the tokens are of another tokenizer.
    """
    model, own = load_trained(base)
    if own.sha256 != tokenizer.sha256:
        raise PermanentError(
            f"{base.name} has the tokenizer {own.sha256[:16]}, but this run's is {tokenizer.sha256[:16]}; take the "
            "model's own (leave out tokenizer.keep)."
        )
    changed = with_shape_of(base, config)
    shape = changed.model
    out.info(
        f"Going on from {base.name}, in its shape: a {shape.family} of {shape.n_layer} layers, {shape.d_model} wide, "
        f"with a context of {shape.max_seq_len:,} tokens."
    )
    return model, changed


def with_shape_of(base: Artifact, config: PretrainConfig) -> PretrainConfig:
    """Return the config with the shape of the base; raises PermanentError if it asks for another."""
    return with_shape(config, config_of(base))


def with_shape(config: PretrainConfig, shape: GPTShape) -> PretrainConfig:
    """Return the config with this shape; raises PermanentError if it asks for another."""
    if other := contradictions(config.model, shape):
        raise PermanentError(other)
    return config.model_copy(update={"model": GPTShape(**shape.model_dump(exclude={"vocab_size"}))})


def contradictions(asked: GPTShape, shape: GPTShape) -> str | None:
    """Return a sentence if the recipe asks for another shape than the model's; a field's default asks for none."""
    usual = GPTShape()
    wrong = [
        f"{name} {getattr(asked, name)} instead of {getattr(shape, name)}"
        for name in GPTShape.model_fields
        if name != "preset" and getattr(asked, name) not in (getattr(usual, name), getattr(shape, name))
    ]
    if not wrong:
        return None
    return (
        f"pretrain.model asks for another shape than that of the model to go on from: {', '.join(wrong)}. Leave "
        "pretrain.model out; for a shorter context set import_model.max_seq_len, for dropout import_model.dropout."
    )
