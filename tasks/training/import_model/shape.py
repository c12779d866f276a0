"""The shape of the model that an import gives, known from its config.json alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.huggingface.config import config_from
from model.huggingface.folder import read_folder
from model.shape import GPTConfig

if TYPE_CHECKING:
    from tasks.training.import_model.config import ImportConfig


def imported_shape(config: ImportConfig) -> GPTConfig:
    """Return the config of the network: that of the folder, with the context and the dropout that the recipe asks for.

    Raises ValueError if the folder holds no such model, or if the context is longer than the model's.
    """
    stored = config_from(read_folder(config.path).config)
    context = config.max_seq_len or stored.max_seq_len
    if context > stored.max_seq_len:
        raise ValueError(
            f"The model has a context of {stored.max_seq_len:,} tokens; {context:,} are more than it knows. Leave "
            "import_model.max_seq_len out, or lower it."
        )
    return stored.model_copy(update={"max_seq_len": context, "dropout": config.dropout})
