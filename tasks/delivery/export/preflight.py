"""Checks of the export stage before it runs: what proves a format is installed, and it can hold the tokenizer."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from model.gguf.types import check_network
from tasks.corpus.tokenizer.config import TokenizerConfig
from tasks.delivery.export.config import ExportConfig, Format
from tasks.stage.preflight import Facts, Fault, attempt

_GGUF = ("gguf", "xllamacpp")
LIBRARIES: dict[Format, tuple[str, ...]] = {
    "hf": (),
    "gguf-f32": _GGUF,
    "gguf-f16": _GGUF,
    "gguf-q8_0": _GGUF,
    "gguf-q6_k": _GGUF,
    "gguf-q5_k_m": _GGUF,
    "gguf-q4_k_m": _GGUF,
    "gguf-q4_0": _GGUF,
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}
"""What writes and what proves each format, beside what textmill needs anyway."""


def check(config: ExportConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why a format cannot be written, or could not be proved."""
    for name in config.formats:
        if missing := missing_for(name):
            yield Fault("export.formats", missing)
    if not any(name.startswith("gguf-") for name in config.formats) or "import_model" in facts.configs:
        return  # what comes in brings its own shape and tokenizer
    if (shape := facts.value("pretrain.model")) is not None:
        yield from attempt("pretrain.model", check_network, shape)
    learned = facts.configs.get("tokenizer")
    if isinstance(learned, TokenizerConfig):
        yield from attempt("tokenizer.pattern", _splits_there, learned)


def missing_for(name: Format) -> str | None:
    """Return a sentence on what has to be installed for a format; None if all is there."""
    absent = [library for library in LIBRARIES[name] if importlib.util.find_spec(library) is None]
    if not absent:
        return None
    return (
        f"The format {name} needs {' and '.join(absent)}, to write it and to prove that it computes the same: "
        "pip install 'textmill[export]'."
    )


def _splits_there(config: TokenizerConfig) -> None:
    """Raise ValueError if llama.cpp has no tokenizer like the one that will be learned."""
    from model.gguf.vocabulary import pre_of
    from model.tokenizer import PATTERNS

    if not config.learns:
        return  # what it is, is known when it is read
    if config.algorithm != "bpe":
        raise ValueError(
            f"llama.cpp has no tokenizer that splits text as a vocabulary learned with {config.algorithm} does; leave "
            "out the GGUF formats, or learn one with bpe (tokenizer.algorithm)."
        )
    pre_of(PATTERNS.get(config.pattern, config.pattern))
