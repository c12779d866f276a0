"""A model that has learned nothing, in a lake: the verbs that use models are tested with it."""

from __future__ import annotations

from pathlib import Path

from data_lake.store.lake import Artifact, Lake
from model.shape import GPTConfig, Network
from model.tokenizer import SPECIALS, Tokenizer, specials_after
from tasks.stage import Output, StageConfig, kinds, stage
from tasks.training.written import write_model


class ModelConfig(StageConfig):
    """Whether the model says that it was taught to answer, what it is, and which special tokens it knows."""

    chat_template: str | None = None
    network: Network = "decoder"
    specials: tuple[str, ...] = SPECIALS
    context: int = 32


@stage(makes=kinds.Model, version=1)
def pretrain(config: ModelConfig, out: Output) -> None:
    """Write a model that has learned nothing."""
    from model.gpt import GPT

    tokenizer = Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", specials_after(256, 8, config.specials))
    shape = GPTConfig(
        vocab_size=tokenizer.vocab_size,
        n_layer=1,
        n_head=2,
        n_kv_head=1,
        d_model=16,
        d_ff=32,
        max_seq_len=config.context,
        network=config.network,
    )
    write_model(out, GPT(shape).initialise(0), tokenizer, [], config.chat_template)


def untrained(
    home: Path,
    chat_template: str | None = None,
    network: Network = "decoder",
    specials: tuple[str, ...] = SPECIALS,
    context: int = 32,
) -> Artifact:
    """Its tokens are bytes."""
    config = ModelConfig(chat_template=chat_template, network=network, specials=specials, context=context)
    return pretrain.build(Lake(home / "lake"), config, {}).artifact
