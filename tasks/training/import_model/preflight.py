"""Checks of the import_model stage before it runs: the folder holds a model that can be imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model.huggingface.folder import read_folder
from model.huggingface.names import check_folder
from model.huggingface.tokens import check_tokenizer
from tasks.stage.preflight import Facts, Fault, attempt
from tasks.training.import_model.shape import imported_shape

if TYPE_CHECKING:
    from tasks.training.import_model.config import ImportConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: ImportConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be imported, as far as its files say it without their weights."""
    if not config.folder:
        why = "No folder is named; give one that holds a model's config.json, weights and tokenizer."
        yield Fault("import_model.folder", why)
        return
    faults = list(attempt("import_model.folder", _check_files, config.path))
    yield from faults or attempt("import_model.max_seq_len", imported_shape, config)


def _check_files(path: Path) -> None:
    folder = read_folder(path)
    check_tokenizer(folder, check_folder(folder).vocab_size)
