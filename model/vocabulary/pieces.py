"""Vocabularies in Hugging Face's tokenizer.json form, applied by the library `tokenizers`.

This is how a unigram vocabulary learned here is kept, and any imported one that is not plain byte-level BPE: byte
fallback, Metaspace, words of added tokens. Special tokens are no part of it, so that no text can spell one: their
entries have names here that no text has.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from model.vocabulary.byte_pairs import whole_characters
from model.vocabulary.merges import unspelled

PIECES_FILE = "pieces.json"
_HTML = re.compile(
    "table|caption|thead|tbody|tfoot|t[rhd]|h[1-6]|blockquote|strong|em|[abiusp]|su[bp]|code|br|li|[ou]l|div|span|pre|img"
)
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Pieces:
    """A vocabulary and its whole way from text to ids, as the JSON document that `tokenizers` reads.

    hidden: special tokens (name → id) that the document holds as entries of its model. They get other names in it.
    """

    kind = "pieces"

    def __init__(self, document: Mapping[str, Any], hidden: Mapping[str, int] | None = None) -> None:
        """Raises ValueError if `tokenizers` cannot read the document, or its tokens cannot be turned into bytes."""
        import tokenizers

        self.document = _without(document, hidden or {})
        bytes_of = _speller(self.document)
        text = json.dumps(self.document, ensure_ascii=False)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # of the library: a plain Exception, or the panic of its Rust code
            raise ValueError(f"The library tokenizers cannot read it: {error}") from error
        self._tokenizer.encode_special_tokens = True
        self._tokens = self._bytes_of_tokens(bytes_of)
        self.drops_first_space = _drops_first_space(self.document)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        ids: list[int] = self._tokenizer.encode(whole_characters(text), add_special_tokens=False).ids
        return ids

    @property
    def keeps_text(self) -> bool:
        """Whether every text comes back as it was: its bytes are the alphabet, and nothing is normalized."""
        steps = steps_of(self.document, "decoder")
        return [step["type"] for step in steps] == ["ByteLevel"] and not self.document.get("normalizer")

    def tokens(self) -> dict[int, bytes]:
        """Return the bytes of each id."""
        return self._tokens

    def identity(self) -> Iterator[bytes]:
        """Yield what the vocabulary's identity is made of."""
        yield self.kind.encode()
        yield self._bytes()

    def description(self) -> dict[str, Any]:
        """Return what the tokenizer's description says about it."""
        return {"kind": self.kind, "algorithm": self.document["model"]["type"]}

    def files(self) -> dict[str, bytes]:
        """Return the files it is stored in."""
        return {PIECES_FILE: self._bytes() + b"\n"}

    @classmethod
    def of_files(cls, files: Mapping[str, bytes], description: Mapping[str, Any]) -> Pieces:
        """Return what `files` hold."""
        document = json.loads(files[PIECES_FILE])
        if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
            raise ValueError(f"{PIECES_FILE} has no model.")
        return cls(document)

    def _bytes(self) -> bytes:
        return json.dumps(self.document, ensure_ascii=False, sort_keys=True).encode()

    def _bytes_of_tokens(self, bytes_of: Callable[[str], bytes]) -> dict[int, bytes]:
        names = {id_: name for name, id_ in self._tokenizer.get_vocab(with_added_tokens=False).items()}
        found = {id_: bytes_of(name) for id_, name in names.items() if not _is_hidden(name)}
        # added tokens are text as it stands, whatever the others are spelled in
        added = ((token["id"], token["content"]) for token in self.document["added_tokens"])
        return found | {id_: name.encode() for id_, name in added if not _is_hidden(name)}

    def __reduce__(self) -> tuple[Any, ...]:
        return Pieces, (self.document,)


def is_mark(name: str) -> bool:
    """Whether an added token is spelled as a mark (`<…>`, `[…]`) and not as text: runs of spaces, HTML (in Gemma's)."""
    if (tag := re.fullmatch(r"</?([a-z]+[1-6]?)>", name)) and _HTML.fullmatch(tag[1]):
        return False
    return re.fullmatch(r"<[^<>\s]+>|\[[^\[\]\s]+\]", name) is not None


def special_added(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the added tokens of a document that count as special: those marked so, and those spelled as a mark."""
    return {
        added["content"]: added["id"]
        for added in document.get("added_tokens") or ()
        if added.get("special") or is_mark(added["content"])
    }


def hidden_name(id_: int, name: str) -> str:
    """Return a name for a special token's entry that no text has: it holds the hash of the token's own."""
    return f"\x00{id_}\x00{hashlib.sha256(name.encode()).hexdigest()}"


def _is_hidden(name: str) -> bool:
    return name.startswith("\x00")


def _without(document: Mapping[str, Any], specials: Mapping[str, int]) -> dict[str, Any]:
    """Return the document without what is not about text: special tokens, truncation, padding, template."""
    made = {**document, "model": dict(document["model"])}
    made |= {"truncation": None, "padding": None, "post_processor": None}
    return _renamed(made, {name: hidden_name(id_, name) for name, id_ in specials.items()})


def with_specials(document: Mapping[str, Any], specials: Mapping[str, int]) -> dict[str, Any]:
    """Return the document with its special tokens, as other programs expect it: each under its own name."""
    made = _renamed(
        {**document, "model": dict(document["model"])}, {hidden_name(id_, name): name for name, id_ in specials.items()}
    )
    there = {added["content"] for added in made["added_tokens"]}
    more = [added_token(name, id_) for name, id_ in specials.items() if name not in there]
    made["added_tokens"] = sorted([*made["added_tokens"], *more], key=lambda token: token["id"])
    return made


def _renamed(made: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Give entries other names, in this document and its model: those of the model and the added tokens."""
    model = made["model"]
    if isinstance(model.get("vocab"), dict):
        model["vocab"] = {names.get(name, name): id_ for name, id_ in model["vocab"].items()}
    elif isinstance(model.get("vocab"), list):
        model["vocab"] = [[names.get(name, name), score] for name, score in model["vocab"]]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    made["added_tokens"] = [
        {**added, "content": names.get(added["content"], added["content"])} for added in made.get("added_tokens") or ()
    ]
    return made


def added_token(name: str, id_: int) -> dict[str, Any]:
    """Return a special token's entry in a document."""
    return {
        "id": id_, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
        "special": True,
    }  # fmt: skip


def _steps(part: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the steps of a normalizer, pre-tokenizer or decoder, of a sequence or a single one."""
    if not part:
        return []
    for name in ("normalizers", "pretokenizers", "decoders"):
        if name in part:
            return [step for inner in part[name] for step in _steps(inner)]
    return [dict(part)]


def steps_of(document: Mapping[str, Any], *sections: str) -> list[dict[str, Any]]:
    """Return the steps of these sections of a document, in order."""
    return [step for section in sections for step in _steps(document.get(section))]


def _speller(document: Mapping[str, Any]) -> Callable[[str], bytes]:
    """Return the function from a token's name to its bytes; raises ValueError if the document does not say."""
    kinds = {step["type"] for step in steps_of(document, "decoder", "pre_tokenizer")}
    model = document["model"].get("type")
    if model not in ("BPE", "Unigram"):
        raise ValueError(
            f"Its model is {model}, which does not keep the text it splits; only BPE and Unigram give back all bytes."
        )
    for odd in ("continuing_subword_prefix", "end_of_word_suffix"):
        if document["model"].get(odd):  # also, the library may end the whole process if merges do not fit the prefix
            raise ValueError(f"Its model marks pieces with a {odd}, which does not keep the text it splits.")
    if "ByteLevel" in kinds:
        return lambda name: name.encode() if (token := unspelled(name)) is None else token
    falls_back = bool(document["model"].get("byte_fallback")) or "ByteFallback" in kinds

    def bytes_of(name: str) -> bytes:
        if falls_back and (byte := _BYTE.fullmatch(name)):
            return bytes.fromhex(byte[1])
        return name.replace("▁", " ").encode() if marks_spaces else name.encode()

    marks_spaces = "▁" in json.dumps(
        [document.get("normalizer"), document.get("pre_tokenizer"), document.get("decoder")], ensure_ascii=False
    )
    return bytes_of


def _drops_first_space(document: Mapping[str, Any]) -> bool:
    """Whether decoding leaves out the first space, which encoding has put there."""
    for step in steps_of(document, "decoder"):
        if step["type"] == "Metaspace":
            return bool(
                step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never") != "never"
            )
        if step["type"] == "Strip" and step.get("content") == " " and step.get("start"):
            return True
    return False


def charsmap(data: bytes) -> dict[str, str]:
    """Return SentencePiece's table of characters as a normalizer."""
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}
