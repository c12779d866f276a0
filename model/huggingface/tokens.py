"""The tokenizer of a Hugging Face folder, fitted to its model: every id has a row, and every role of ours a token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model.huggingface.chat_template import template_of
from model.huggingface.folder import ModelFolder, NoModelFolder, read_json
from model.templates import TemplateName
from model.tokenizer import Tokenizer
from model.vocabulary.imported import import_tokenizer, tokenizer_files

TOKENIZER_CONFIG = "tokenizer_config.json"


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer with all of our roles; the names of the tokens that were added for them; and which of our
    chat templates its folder carries, as a model does that left from here."""

    tokenizer: Tokenizer
    added: tuple[str, ...]
    template: TemplateName | None

    def added_text(self) -> str:
        """Return a sentence about the tokens that were added."""
        return f"Added to its vocabulary: {', '.join(self.added)}." if self.added else "Its vocabulary has all we need."


def read_tokenizer(folder: ModelFolder, rows: int) -> Vocabulary:
    """Return the tokenizer of a folder whose model has so many rows of embeddings.

    Published models often have more rows than tokens; the ids without a token stay unused. Tokens for our roles get the
    ids after the last token, so the first of them may use such rows. Raises NoModelFolder if there is no tokenizer, or
    if it has ids without a row.
    """
    try:
        own = import_tokenizer(folder.path, rows)
    except (ValueError, OSError) as error:
        raise NoModelFolder(str(error)) from error
    tokenizer = own.with_roles()
    added = tuple(name for name in tokenizer.specials if name not in own.specials)
    return Vocabulary(tokenizer, added, None if added else _template(folder, tokenizer))


def _template(folder: ModelFolder, tokenizer: Tokenizer) -> TemplateName | None:
    beside = folder.path / TOKENIZER_CONFIG
    jinja = read_json(beside).get("chat_template") if beside.is_file() else None
    return template_of(tokenizer, jinja) if isinstance(jinja, str) else None


def check_tokenizer(folder: ModelFolder, rows: int) -> None:
    """Raise NoModelFolder if a folder has no tokenizer, or one with ids beyond the model's rows.

    It takes no time, as `read_tokenizer` does (5 s for GPT-2's): the merges are not looked at.
    """
    try:
        first = tokenizer_files(folder.path)[0]
    except OSError as error:
        raise NoModelFolder(str(error)) from error
    if first.suffix != ".json":
        return
    last = max(_ids(read_json(first)), default=0)
    if last >= rows:
        raise NoModelFolder(
            f"The tokenizer in {first} does not fit the model: it has ids up to {last:,}, but the model only {rows:,} "
            "rows of embeddings. Take the tokenizer that belongs to the model."
        )


def _ids(document: dict[str, Any]) -> Iterator[int]:
    """Yield the ids of a tokenizer.json, or of a vocab.json, as far as its form is the usual one."""
    model = document.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else document
    if isinstance(vocab, dict):
        yield from (id_ for id_ in vocab.values() if isinstance(id_, int))
    elif isinstance(vocab, list):
        yield len(vocab) - 1
    added = document.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        if isinstance(token, dict) and isinstance(token.get("id"), int):
            yield token["id"]
