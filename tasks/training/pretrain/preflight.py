"""Checks of the pretrain stage before it runs: the device exists, and there is held-out text for validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.tokenizer import MASK
from tasks.stage import PermanentError
from tasks.stage.preflight import Facts, Fault, device_faults
from tasks.training.adapters import adapter_faults
from tasks.training.import_model.config import ImportConfig
from tasks.training.import_model.shape import imported_shape
from tasks.training.pretrain.base import with_shape
from tasks.training.pretrain.reading import too_short

if TYPE_CHECKING:
    from tasks.training.pretrain.config import PretrainConfig

NO_BASE = (
    "An adapter learns the difference from a trained model, but this training begins with random weights; name a model "
    "to go on from (import_model), or leave the adapter out."
)
SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: PretrainConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be trained."""
    yield from device_faults("pretrain.runtime.device", config.runtime.device)
    if isinstance(imported := facts.configs.get("import_model"), ImportConfig):
        try:
            config = with_shape(config, imported_shape(imported))
        except PermanentError as error:
            yield Fault("pretrain.model", str(error))
        except (ValueError, OSError):  # the check of import_model reports why
            return
    if config.adapter is not None and "import_model" not in facts.configs:
        yield Fault("pretrain.adapter", NO_BASE)
    yield from adapter_faults("pretrain.adapter", config.adapter, config.model)
    if config.training.head_learning_rate is not None and config.model.tie_embeddings:
        yield Fault(
            "pretrain.training.head_learning_rate",
            "The output matrix is tied to the embedding, so it has no rate of its own; leave it out, or set "
            "pretrain.model.tie_embeddings: false.",
        )
    if config.depth is not None and config.depth != config.model.n_layer:
        yield Fault(
            "pretrain.depth",
            f"The depth is {config.depth}, but model.n_layer is {config.model.n_layer}, which counts.",
            stops=False,
        )
    specials = facts.value("tokenizer.specials")
    if config.model.network == "encoder" and specials is not None and MASK not in specials:
        yield Fault(
            "tokenizer.specials", f"An encoder needs the special token {MASK}; set tokenizer.specials to ['{MASK}']."
        )
    if facts.value("decontaminate.split.val") == 0:
        yield Fault(
            "decontaminate.split.val",
            "Nothing is held out for validation during training; hold out a share, such as 0.02.",
        )
    elif (tokens := facts.inputs.get("tokens")) is not None:
        for split, field in (("train", "pretrain.model.max_seq_len"), ("val", "decontaminate.split.val")):
            if why := too_short(split, tokens.counts[f"{split}_tokens"], config):
                yield Fault(field, why)
