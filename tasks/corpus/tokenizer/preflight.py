"""Checks of the tokenizer stage before it runs: the user's own pattern works, and ready or imported ones are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.tokenizer import PATTERNS, Tokenizer
from model.vocabulary.exported import byte_level_steps
from model.vocabulary.ready import ready_ranks
from tasks.corpus.tokenizer.elsewhere import taken
from tasks.stage.preflight import Facts, Fault, attempt

if TYPE_CHECKING:
    from tasks.corpus.tokenizer.config import TokenizerConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"

# All kinds of text that must decode unchanged: scripts with and without spaces, marks, code, control characters, emoji.
SAMPLE = (
    "The mill's wheel turned 1,234.5 times; naïve café, e\u0301. Größe! Ελληνικά русский עברית العربية हिन्दी 한국어\n"
    "水车转动，河水流过。水車が回り、川が流れる。กังหันน้ำหมุน\n\n"
    "\tdef f(x: int) -> str:\r\n        return f'{x!r}'  # ok\n"
    "<|bos|> \x00\x7f \u200d👩\u200d🔬 🇫🇷 \U0010ffff   "
)


def check(config: TokenizerConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why no tokenizer can be learned with this config."""
    if config.gpt2:
        yield from attempt("tokenizer.gpt2", ready_ranks, "gpt2", config.gpt2)
    if not config.learns:
        # what may be downloaded is not missing yet
        if config.ready is None or config.files or not config.download:
            field = "tokenizer.files" if config.files else "tokenizer.ready"
            yield from attempt(field, lambda: taken(config, may_download=False))
        return
    if config.algorithm == "unigram":
        yield from attempt("tokenizer.pattern", byte_level_steps, PATTERNS.get(config.pattern, config.pattern))
    if config.pattern not in PATTERNS:
        yield from attempt("tokenizer.pattern", _try_pattern, config.pattern)


def _try_pattern(pattern: str) -> None:
    import rustbpe

    trainer = rustbpe.Tokenizer()
    try:
        trainer.train_from_iterator(iter([SAMPLE]), 256, pattern=pattern)
        tried = Tokenizer({bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}, pattern, {})
    except ValueError as error:
        raise ValueError(f"The tokenizer's pattern {pattern!r} cannot be used: {error}.") from error
    if tried.decode(tried.encode(SAMPLE)) != SAMPLE:
        raise ValueError(f"The pattern {pattern!r} must match every character; add `|.` for what nothing else matches.")
