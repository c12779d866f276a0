"""Checks of the quantise stage before it runs: text is held out, and the groups divide the network's matrices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault
from tasks.training.import_model.config import ImportConfig
from tasks.training.import_model.shape import imported_shape
from tasks.training.pretrain.config import PretrainConfig

if TYPE_CHECKING:
    from model.shape import GPTShape
    from tasks.compression.quantise.config import QuantiseConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: QuantiseConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be quantised."""
    if facts.value("decontaminate.split.val") == 0:
        why = "Nothing is held out to measure what is lost; hold out a share, such as 0.02."
        yield Fault("decontaminate.split.val", why)
    shape = _shape(facts)
    if shape is None:
        return
    for columns in (shape.d_model, shape.n_head * shape.head_dim, shape.d_ff):
        if unfit := config.form.unfit(columns):
            yield Fault("quantise.group", unfit)
            return


def _shape(facts: Facts) -> GPTShape | None:
    """Return the shape of the network, if it is known."""
    if isinstance(imported := facts.configs.get("import_model"), ImportConfig):
        with contextlib.suppress(ValueError, OSError):  # the check of import_model reports why
            return imported_shape(imported)
        return None
    trained = facts.configs.get("pretrain")
    return trained.model if isinstance(trained, PretrainConfig) else None
