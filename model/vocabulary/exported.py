"""Export of a tokenizer as the files that Hugging Face's libraries open; ids are the same, to the last text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from model.files import whole_path
from model.tokenizer import Tokenizer
from model.vocabulary.byte_pairs import BytePairs
from model.vocabulary.merges import merges_of, spelled
from model.vocabulary.pieces import Pieces, added_token, with_specials
from model.vocabulary.sentence_pieces import as_document

TOKENIZER, CONFIG, SPECIALS_MAP = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
# Tried on export: what splits differently where a pattern or a merge was carried over wrongly.
_HARD = (
    "The mill's wheel turned 1234567.5 times; we'LL see. naïve cafe\u0301\n\n\n  x\t\ty \r\n",
    "水车转动 हिन्दी 👩\u200d🔬🇫🇷 \U0010ffff\x00 <|bos|>   ",
    " ", "  \n \n", "",
)  # fmt: skip


def export_tokenizer(
    tokenizer: Tokenizer, folder: Path | str, chat_template: str | None = None, *, add_bos: bool = False
) -> list[Path]:
    """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json into `folder`; return their paths.

    chat_template: Jinja text, kept in tokenizer_config.json for `apply_chat_template`. It has to write the special
        tokens itself, as it is rendered to text that is then encoded without additions.
    add_bos: whether `tokenizer(text)` puts the token that opens a document first. Without it, the ids of a text are
        those of `Tokenizer.encode`; with it, prompts begin as the documents did that a model of this project read.

    In `transformers` the name of a special token in a text becomes that token, because chat templates need it. For
    texts of strangers, call the tokenizer with `split_special_tokens=True`, and the ids are ours for every text.

    Raises ValueError if the files would not give the same ids: a pattern that has no equal there, or two tokens of one
    spelling.
    """
    document = document_of(tokenizer, add_bos=add_bos)
    _check_same(tokenizer, document)
    names = {f"{role}_token": name for role in ("bos", "eos", "pad") if (name := _name_of(tokenizer, role))}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **names,
        **({"chat_template": chat_template} if chat_template is not None else {}),
    }
    made = []
    for name, content in ((TOKENIZER, document), (CONFIG, config), (SPECIALS_MAP, names)):
        with whole_path(Path(folder) / name) as path:
            path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
        made.append(Path(folder) / name)
    return made


def document_of(tokenizer: Tokenizer, *, add_bos: bool = False) -> dict[str, Any]:
    """Return the tokenizer as the document of tokenizer.json."""
    vocabulary = tokenizer.vocabulary
    if isinstance(vocabulary, BytePairs):
        document = _of_byte_pairs(vocabulary, tokenizer.specials)
    else:
        pieces = vocabulary.document if isinstance(vocabulary, Pieces) else as_document(vocabulary)
        document = with_specials(pieces, tokenizer.specials)
    if add_bos:
        name = _name_of(tokenizer, "bos")
        document["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                {"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 0}},
            ],
            "special_tokens": {name: {"id": name, "ids": [tokenizer.bos], "tokens": [name]}},
        }  # fmt: skip
    return document


def byte_level_steps(pattern: str) -> dict[str, Any]:
    """Return the steps that split text by a pattern and spell the pieces' bytes as letters, and the way back."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": oniguruma(pattern)}, "behavior": "Isolated", "invert": False}
    return {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "decoder": {**byte_level, "use_regex": True},
    }


def oniguruma(pattern: str) -> str:
    """Return a split pattern in the dialect of `tokenizers`, where `{1,3}+` is no possessive count but two counts.

    At the end of an alternative nothing follows that could take a character back, so the plain count is the same.
    Raises ValueError if a possessive count stands elsewhere.
    """
    made = re.sub(r"(\{\d*,?\d*\})\+(?=\||$|\)$)", r"\1", pattern)
    if re.search(r"(?<!\\)\{\d*,?\d*\}\+", made):
        raise ValueError(
            f"The split pattern {pattern!r} has a possessive count ({{n,m}}+), which Hugging Face's library reads "
            "as two counts; write it as (?>…{n,m})."
        )
    return made


def _of_byte_pairs(vocabulary: BytePairs, specials: dict[str, int]) -> dict[str, Any]:
    tokens = {spelled(token): rank for token, rank in vocabulary.ranks.items()}
    if both := tokens.keys() & specials.keys():
        raise ValueError(
            f"The special token {min(both)!r} is spelled as an ordinary token, and tokenizer.json has one entry for "
            "each spelling; give the special another name (tokenizer.specials)."
        )
    merges, unreachable = merges_of(vocabulary.ranks)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(name, id_) for name, id_ in sorted(specials.items(), key=lambda item: item[1])],
        "normalizer": {"type": vocabulary.normalizer} if vocabulary.normalizer else None,
        **byte_level_steps(vocabulary.pattern),
        "post_processor": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            # tiktoken gives a token that no merge makes where it is the whole piece; that is what this means
            "ignore_merges": unreachable > 0,
            "vocab": dict(sorted((tokens | specials).items(), key=lambda item: item[1])),
            "merges": [[spelled(left), spelled(right)] for left, right in merges],
        },
    }


def _check_same(tokenizer: Tokenizer, document: dict[str, Any]) -> None:
    """Raise ValueError unless the document gives special tokens their ids, and hard texts ours."""
    import tokenizers

    try:
        opened = tokenizers.Tokenizer.from_str(json.dumps(document, ensure_ascii=False))
    except Exception as error:  # the library raises plain Exception
        raise ValueError(f"The tokenizer cannot be written as tokenizer.json: {error}") from error
    opened.encode_special_tokens = True
    for name, id_ in tokenizer.specials.items():
        if opened.token_to_id(name) != id_:
            raise ValueError(
                f"The tokenizer cannot be written as tokenizer.json: {name} has id {id_} here and "
                f"{opened.token_to_id(name)} there, as its vocabulary cannot have gaps."
            )
    for text in _HARD:
        if opened.encode(text, add_special_tokens=False).ids != tokenizer.encode(text):
            raise ValueError(
                f"The tokenizer cannot be written as tokenizer.json: {text!r} would be split otherwise. "
                "Its pattern may mean something else there."
            )


def _name_of(tokenizer: Tokenizer, role: str) -> str | None:
    try:
        id_ = tokenizer.role(role)
    except KeyError:
        return None
    return next(name for name, one in tokenizer.specials.items() if one == id_)
