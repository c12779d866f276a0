"""Tokenizers that are not learned from the corpus: ready encodings by name, imported ones, and that of a base model."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from model.tokenizer import PATTERNS, Tokenizer, parse_ranks
from model.vocabulary.imported import fingerprint, import_tokenizer
from model.vocabulary.ready import fetch, ready_tokenizer
from tasks.stage.errors import PermanentError
from tasks.stage.file_patterns import as_name

if TYPE_CHECKING:
    from tasks.corpus.tokenizer.config import TokenizerConfig

MULTIPLE = 64  # what the vocabulary is filled to, see model.tokenizer.specials_after


def taken(config: TokenizerConfig, *, may_download: bool = True) -> Tokenizer:
    """Return the ready or imported tokenizer that a config names, with textmill's special tokens if it asks for them.

    Raises FileNotFoundError if its files are not there, ValueError if they hold no such tokenizer.
    """
    files = _path(config.files)
    if config.ready is None:
        assert files is not None
        found = _of_ranks(files, config.pattern) if _holds_ranks(files) else import_tokenizer(files)
    else:
        if config.download and files is None and may_download:
            fetch(config.ready)
        found = ready_tokenizer(config.ready, files)
    return found.with_roles(MULTIPLE, config.specials) if config.roles else found


def sources(config: TokenizerConfig) -> str | None:
    """Return a fingerprint of the files of an imported tokenizer; a ready encoding is the same wherever it lies."""
    files = _path(config.files)
    if config.ready is not None or files is None:
        return None
    try:
        return hashlib.sha256(files.read_bytes()).hexdigest() if _holds_ranks(files) else fingerprint(files)
    except OSError as error:
        raise PermanentError(str(error)) from error


def _path(name: str) -> Path | None:
    return Path(as_name(name)).expanduser() if name else None


def _holds_ranks(path: Path) -> bool:
    """Whether a file holds ranks as tiktoken writes them (Llama 3's tokenizer.model does)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return re.match(rb"[A-Za-z0-9+/]+=* \d+\r?\n", file.read(4096)) is not None


def _of_ranks(path: Path, pattern: str) -> Tokenizer:
    try:
        ranks = parse_ranks(path.read_bytes())
        return Tokenizer(ranks, PATTERNS.get(pattern, pattern), {}, {}, vocab_size=max(ranks.values()) + 1)
    except ValueError as error:
        raise ValueError(f"The ranks in {path} cannot be used: {error}") from error
