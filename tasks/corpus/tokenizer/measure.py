"""How many bytes of held-out text a token stands for, by source and language, beside GPT-2's for the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.tables.documents import read_documents
from model.tokenizer import Tokenizer
from model.vocabulary.ready import ready_tokenizer

if TYPE_CHECKING:
    from tasks.corpus.tokenizer.config import TokenizerConfig

SHAPES_NO_RESULT = "measures what was made"

REPORT = "bytes_per_token.json"
LIMIT = 2_000_000  # bytes for the headline
PER_GROUP = 200_000  # bytes of each source and language
MAX_GROUPS = 1000  # sources and languages with a row


@dataclass
class Amounts:
    """What was measured: documents, their bytes, and the tokens of two tokenizers; None: not counted."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    gpt2_tokens: int | None = None

    def add(self, n_bytes: int, tokens: int, gpt2_tokens: int | None) -> None:
        """Add a document."""
        self.documents += 1
        self.bytes += n_bytes
        self.tokens += tokens
        if gpt2_tokens is not None:
            self.gpt2_tokens = (self.gpt2_tokens or 0) + gpt2_tokens

    @property
    def bytes_per_token(self) -> float | None:
        """None if nothing was measured."""
        return self.bytes / self.tokens if self.tokens else None

    @property
    def gpt2_bytes_per_token(self) -> float | None:
        """None if nothing was measured, or GPT-2's ranks are not at hand."""
        return self.bytes / self.gpt2_tokens if self.gpt2_tokens else None


@dataclass
class Measured:
    """All held-out text up to `LIMIT`, and each source and language up to `PER_GROUP`."""

    together: Amounts = field(default_factory=Amounts)
    groups: dict[tuple[str, str], Amounts] = field(default_factory=dict)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the report: all, then languages and sources, each with the most bytes first."""
        named = [("all", "", self.together)]
        for kind in ("language", "source"):
            found = [(name, amounts) for (of, name), amounts in self.groups.items() if of == kind]
            named += [(kind, name, amounts) for name, amounts in sorted(found, key=lambda it: (-it[1].bytes, it[0]))]
        for kind, name, amounts in named:
            yield {
                "by": kind,
                "name": name,
                "documents": amounts.documents,
                "bytes": amounts.bytes,
                "tokens": amounts.tokens,
                "bytes_per_token": amounts.bytes_per_token,
                "gpt2_bytes_per_token": amounts.gpt2_bytes_per_token,
            }


def gpt2_at_hand(config: TokenizerConfig) -> Tokenizer | None:
    """Return GPT-2's tokenizer if its ranks are where the config says or in tiktoken's cache, else None."""
    try:
        own = config.files if config.ready in ("gpt2", "r50k_base") else ""
        return ready_tokenizer("gpt2", config.gpt2 or own or None)
    except (FileNotFoundError, ValueError):
        return None


def measured(tokenizer: Tokenizer, corpus: Path, gpt2: Tokenizer | None) -> Measured:
    """Count the tokens of held-out documents, in the order of the corpus."""
    import pyarrow.compute as pc

    made = Measured()
    same = gpt2 is not None and getattr(tokenizer.vocabulary, "ranks", None) == getattr(gpt2.vocabulary, "ranks", 0)
    for batch in read_documents(corpus, ["source", "language", "text", "n_bytes", "split"]):
        for row in batch.filter(pc.not_equal(batch["split"], "train")).to_pylist():
            groups = [made.groups.get(key) for key in _keys(row)]
            wanted = made.together.bytes < LIMIT or any(group is None or group.bytes < PER_GROUP for group in groups)
            if not wanted:
                continue
            tokens = len(tokenizer.encode(row["text"]))
            theirs = None if gpt2 is None else tokens if same else len(gpt2.encode(row["text"]))
            if made.together.bytes < LIMIT:
                made.together.add(row["n_bytes"], tokens, theirs)
            for key in _keys(row):
                if key in made.groups or len(made.groups) < MAX_GROUPS:
                    group = made.groups.setdefault(key, Amounts())
                    if group.bytes < PER_GROUP:
                        group.add(row["n_bytes"], tokens, theirs)
    return made


def _keys(row: dict[str, Any]) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("source", row["source"]), ("language", row["language"] or "unknown")
