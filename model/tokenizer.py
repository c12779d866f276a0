"""The tokenizer: text to ids and back, special tokens and the roles they play, whatever its vocabulary is made of.

A tokenizer consists of its vocabulary (model/vocabulary), its specials and their roles; their sha256 is its identity.
Every token file and every model records it, so that text tokenized one way is never fed to a model trained with another
tokenizer. Text is data in every kind of vocabulary: the name of a special token in it is encoded as ordinary tokens.

On disk it is a folder that describes itself: `tokenizer.json` (pattern, specials, sizes and the identity, which loading
verifies), and the vocabulary: `ranks.tiktoken` (tiktoken's own format, one `base64 rank` line per token), `pieces.json`
or `pieces.model`.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.files import whole_path
from model.vocabulary.byte_pairs import PATTERNS, RANKS_FILE, BytePairs, parse_ranks
from model.vocabulary.pieces import PIECES_FILE, Pieces
from model.vocabulary.sentence_pieces import MODEL_FILE, SentencePieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Vocabulary = BytePairs | Pieces | SentencePieces

__all__ = ["PATTERNS", "ROLES", "SPECIALS", "Tokenizer", "parse_ranks", "specials_after"]

DESCRIPTION_FILE = "tokenizer.json"
_KINDS: dict[str | None, tuple[type[BytePairs] | type[Pieces] | type[SentencePieces], str]] = {
    None: (BytePairs, RANKS_FILE),
    Pieces.kind: (Pieces, PIECES_FILE),
    SentencePieces.kind: (SentencePieces, MODEL_FILE),
}

BOS, EOS, PAD = "<|bos|>", "<|eos|>", "<|pad|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
MASK = "<|mask|>"  # stands for a hidden token of an encoder's text; only reserved if the recipe names it

# Reserved from the start, so that later training stages never have to grow the vocabulary: `<|bos|>` opens every
# document, `<|eos|>` ends an answer, a role opens a turn.
SPECIALS: tuple[str, ...] = (BOS, EOS, PAD, SYSTEM, USER, ASSISTANT)


ROLES: dict[str, str] = {
    "bos": BOS, "eos": EOS, "pad": PAD, "system": SYSTEM, "user": USER, "assistant": ASSISTANT
}  # fmt: skip
"""Which special token plays each role, unless a tokenizer says otherwise: GPT-2 opens and ends with <|endoftext|>."""


def specials_after(n_ranks: int, multiple: int, names: Sequence[str] = SPECIALS) -> dict[str, int]:
    """Return special token ids that follow `n_ranks` ordinary ones and fill the vocabulary to a multiple.

    Matrix kernels are fastest when the vocabulary is a multiple of 64 (nanoGPT: about 25 % on a GPU from 50,257 to
    50,304). Every id should have a token, so the extra ones are named `<|reserved_0|>` and so on.
    """
    total = n_ranks + len(names)
    missing = -total % multiple
    filled = [*names, *(f"<|reserved_{i}|>" for i in range(missing))]
    return {name: n_ranks + i for i, name in enumerate(filled)}


class Tokenizer:
    """Text to ids and back. Ordinary tokens come first in one learned here, specials last."""

    def __init__(
        self,
        ranks: Mapping[bytes, int],
        pattern: str,
        specials: Mapping[str, int],
        roles: Mapping[str, str] | None = None,
        *,
        vocab_size: int | None = None,
        normalizer: str | None = None,
    ) -> None:
        """Build from mergeable ranks (token bytes → id), a split regex and special tokens (name → id); see `of`.

        Raises ValueError if the ids have a gap or a duplicate, if a single byte has no token, or if the pattern does
        not compile.
        """
        _check_ids(ranks.values(), specials, vocab_size)
        self._set(BytePairs(ranks, pattern, normalizer), specials, roles, vocab_size)

    @classmethod
    def of(
        cls,
        vocabulary: Vocabulary,
        specials: Mapping[str, int],
        roles: Mapping[str, str] | None = None,
        vocab_size: int | None = None,
    ) -> Tokenizer:
        """Return the tokenizer of any vocabulary.

        specials: name → id of the special tokens.
        roles: which special opens a document ("bos"), ends an answer ("eos") and so on; None = as in ROLES. Roles that
            are missing have no token: asking for one raises KeyError.
        vocab_size: the number of ids, if some have no token: those of a published model often have gaps, and its
            embedding more rows than it has tokens. None = every id has one.

        Raises ValueError if an id is used twice or does not fit, or if a role's special is missing.
        """
        made = cls.__new__(cls)
        _check_ids(vocabulary.tokens(), specials, vocab_size)
        made._set(vocabulary, specials, roles, vocab_size)
        return made

    def _set(
        self,
        vocabulary: Vocabulary,
        specials: Mapping[str, int],
        roles: Mapping[str, str] | None,
        vocab_size: int | None,
    ) -> None:
        for role, name in (roles or {}).items():
            if name not in specials:
                raise ValueError(
                    f"The role {role!r} is given to {name!r}, which is no special token of this tokenizer."
                )
        self.vocabulary = vocabulary
        self.specials = dict(specials)
        self.roles = None if roles is None else dict(roles)
        self._tokens = {id_: name.encode() for name, id_ in self.specials.items()} | vocabulary.tokens()
        self.vocab_size = len(self._tokens) if vocab_size is None else vocab_size
        self.sha256 = _identity(self)
        self._encode = vocabulary.encode

    # ---- text and ids

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`. Text is data: the name of a special token in it is encoded as ordinary tokens."""
        return self._encode(text)

    def encode_array(self, text: str) -> np.ndarray:
        """Return the ids of `text` as uint32[], if possible without a Python object for each."""
        if isinstance(self.vocabulary, BytePairs):
            return self.vocabulary.encode_array(text)
        # numpy alone takes four times as long to read a list
        return np.frombuffer(array("I", self._encode(text)), dtype=np.uint32)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, in a plain loop: measured faster per core than tiktoken's thread pool."""
        encode = self._encode
        return [encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; invalid UTF-8 (half a character) becomes U+FFFD, special tokens their names.

        A SentencePiece vocabulary puts a space before every text; it is left out again if a token of `ids` begins with
        it and is the first.
        """
        ids = list(ids)
        text = self.decode_bytes(ids).decode("utf-8", errors="replace")
        drops = self.vocabulary.drops_first_space and ids and ids[0] not in self.specials.values()
        return text[1:] if drops and text.startswith(" ") else text

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the exact bytes of `ids`, for callers that assemble characters across tokens.

        An id without a token has no bytes. Raises ValueError if an id is outside the vocabulary.
        """
        try:
            return b"".join(map(self._tokens.__getitem__, ids := list(ids)))
        except KeyError:
            return b"".join(map(self._bytes_of, ids))

    def _bytes_of(self, id_: int) -> bytes:
        if not 0 <= id_ < self.vocab_size:
            raise ValueError(
                f"Id {id_} is outside this tokenizer's vocabulary of {self.vocab_size:,} ids; it comes from another."
            )
        return self._tokens.get(id_, b"")

    def token_bytes(self) -> np.ndarray:
        """Return how many bytes of text each id stands for: int32[vocab_size], 0 for specials.

        Bits per byte is the summed loss divided by the sum of these over the targets, which makes models with
        different vocabularies comparable.
        """
        table = np.zeros(self.vocab_size, dtype=np.int32)
        for id_, token in self.vocabulary.tokens().items():
            table[id_] = len(token)
        return table

    @property
    def ranks(self) -> dict[bytes, int]:
        """The token bytes → id of a byte-pair vocabulary; TypeError if it is of another kind."""
        return self._byte_pairs().ranks

    @property
    def pattern(self) -> str:
        """The split pattern of a byte-pair vocabulary; TypeError if it is of another kind."""
        return self._byte_pairs().pattern

    def _byte_pairs(self) -> BytePairs:
        if not isinstance(self.vocabulary, BytePairs):
            raise TypeError(f"This tokenizer's vocabulary is of the kind {self.vocabulary.kind}; it has no ranks.")
        return self.vocabulary

    # ---- special ids

    def special(self, name: str) -> int:
        """Return the id of a special token such as `<|bos|>`."""
        try:
            return self.specials[name]
        except KeyError:
            known = ", ".join(n for n in self.specials if not n.startswith("<|reserved_"))
            raise KeyError(f"This tokenizer has no special token {name!r}; it has {known}.") from None

    def role(self, role: str) -> int:
        """Return the id of the special token that plays a role: "bos", "user" and so on."""
        roles = ROLES if self.roles is None else self.roles
        if role not in roles:
            raise KeyError(f"This tokenizer has no token for the role {role!r}; it has {', '.join(roles)}.")
        return self.special(roles[role])

    def has(self, role: str) -> bool:
        """Whether a special token plays a role; some imported tokenizers have no <|bos|>, and many no turns."""
        return (ROLES if self.roles is None else self.roles).get(role) in self.specials

    @property
    def bos(self) -> int:
        """Id that opens every document."""
        return self.role("bos")

    @property
    def eos(self) -> int:
        """Id that ends an answer."""
        return self.role("eos")

    @property
    def pad(self) -> int:
        """Id used as padding in a batch; never a target."""
        return self.role("pad")

    @property
    def system(self) -> int:
        """Id that opens a system message."""
        return self.role("system")

    @property
    def user(self) -> int:
        """Id that opens a user's turn."""
        return self.role("user")

    @property
    def assistant(self) -> int:
        """Id that opens the model's turn."""
        return self.role("assistant")

    def with_roles(self, multiple: int = 1, names: Sequence[str] = ()) -> Tokenizer:
        """Return this tokenizer with textmill's own special tokens (and `names`) for the roles that it lacks.

        They get the ids after the last one used, and the vocabulary is filled to a multiple; ids that are there stay.
        Padding gets a token of its own if it shares that of the end: a model must learn the one and not the other.
        """
        roles = dict(ROLES if self.roles is None else self.roles)
        roles = {role: name for role, name in roles.items() if name in self.specials}
        if roles.get("pad") in (roles.get("eos"), roles.get("bos")):
            roles.pop("pad", None)
        missing = {role: name for role, name in ROLES.items() if role not in roles}
        wanted = [name for name in dict.fromkeys([*missing.values(), *names]) if name not in self.specials]
        first = max(self._tokens, default=-1) + 1
        specials = self.specials | {name: first + i for i, name in enumerate(wanted)}
        last = max([self.vocab_size, *(id_ + 1 for id_ in specials.values())])
        complete = roles | missing
        return Tokenizer.of(self.vocabulary, specials, None if complete == ROLES else complete, last + -last % multiple)

    # ---- folder

    def save(self, folder: Path | str) -> None:
        """Write the files that `load` reads; each appears complete or not at all."""
        folder = Path(folder)
        description = {
            "format": "textmill tokenizer 1",
            **self.vocabulary.description(),
            "specials": self.specials,
            **({} if self.roles is None else {"roles": self.roles}),
            "n_ranks": len(self.vocabulary.tokens()),
            "vocab_size": self.vocab_size,
            "sha256": self.sha256,
        }
        for name, data in self.vocabulary.files().items():
            with whole_path(folder / name) as path:
                path.write_bytes(data)
        with whole_path(folder / DESCRIPTION_FILE) as path:
            path.write_bytes(json.dumps(description, indent=1, ensure_ascii=False).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path | str) -> Tokenizer:
        """Read a folder that `save` wrote.

        Raises FileNotFoundError if it is not such a folder, ValueError if a file is damaged or the two do not match.
        """
        folder = Path(folder)
        try:
            description = json.loads(_read(folder, DESCRIPTION_FILE))
            if (kind := description.get("kind")) not in _KINDS:
                raise ValueError(f"its vocabulary is of the kind {kind!r}, which is not known")
            made, name = _KINDS[kind]
            vocabulary = made.of_files({name: _read(folder, name)}, description)
            sizes = {} if "vocab_size" not in description else {"vocab_size": int(description["vocab_size"])}
            tokenizer = cls.of(vocabulary, description["specials"], description.get("roles"), **sizes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"The tokenizer in {folder} cannot be read: {error}") from error
        if tokenizer.sha256 != description.get("sha256"):
            raise ValueError(
                f"The tokenizer in {folder} is not the one its {DESCRIPTION_FILE} names: its content has sha256 "
                f"{tokenizer.sha256[:16]}…, the file says {str(description.get('sha256'))[:16]}…. "
                "A file was changed or damaged; build the tokenizer again."
            )
        return tokenizer

    def __reduce__(self) -> tuple[Any, ...]:
        return Tokenizer.of, (self.vocabulary, self.specials, self.roles, self.vocab_size)

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size}, sha256={self.sha256[:16]}…)"


def _read(folder: Path, name: str) -> bytes:
    if not (folder / name).is_file():
        raise FileNotFoundError(
            f"{folder} is not a tokenizer folder: {name} is missing. "
            "Name a folder that the tokenizer stage or Tokenizer.save wrote."
        )
    return (folder / name).read_bytes()


def _check_ids(tokens: Iterable[int], specials: Mapping[str, int], vocab_size: int | None) -> None:
    """Raise ValueError unless each id is used once, and every one, or those below `vocab_size` may have gaps."""
    text = list(tokens)
    ids = sorted([*text, *specials.values()])
    if vocab_size is None and ids != list(range(len(ids))):
        raise ValueError(
            f"The ids of {len(text)} tokens and {len(specials)} specials do not count 0 … {len(ids) - 1}: "
            "each id must be used exactly once."
        )
    if vocab_size is not None and ids:
        if len(set(ids)) != len(ids):
            raise ValueError("Two tokens have the same id: each id must be used exactly once.")
        if ids[0] < 0 or ids[-1] >= vocab_size:
            wrong = ids[0] if ids[0] < 0 else ids[-1]
            raise ValueError(f"A token has id {wrong}, which is outside the vocabulary of {vocab_size} ids.")


def _identity(tokenizer: Tokenizer) -> str:
    """Return the sha256 of vocabulary and specials, and of roles, normalizer and size where they are not the usual.

    Each part goes in with its length, so that different inputs never agree.
    """
    specials = sorted(tokenizer.specials.items(), key=lambda item: item[1])
    unusual: dict[str, Any] = {}
    if tokenizer.roles is not None:
        unusual["roles"] = tokenizer.roles
    if tokenizer.vocab_size != len(tokenizer._tokens):
        unusual["vocab_size"] = tokenizer.vocab_size
    if normalizer := tokenizer.vocabulary.description().get("normalizer"):
        unusual["normalizer"] = normalizer
    parts = [*tokenizer.vocabulary.identity(), json.dumps(specials, ensure_ascii=True).encode()]
    if unusual:
        parts.append(json.dumps(unusual, ensure_ascii=True, sort_keys=True).encode())
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
