"""The tokenizer: byte-pair ranks, a split pattern and special tokens, used through tiktoken.

A tokenizer consists of its ranks, its pattern and its specials; their sha256 is its identity. Every token file and
every model records it, so that text tokenized one way is never fed to a model trained with another tokenizer.

On disk it is a folder that describes itself: `ranks.tiktoken` (tiktoken's own format, one `base64 rank` line per
token) and `tokenizer.json` (pattern, specials, sizes and the identity, which loading verifies).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.files import whole_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RANKS_FILE = "ranks.tiktoken"
DESCRIPTION_FILE = "tokenizer.json"

# Split patterns by name. Splitting before merging keeps a token from spanning two words.
PATTERNS: dict[str, str] = {
    # GPT-2 (Radford et al. 2019, encoder.py), in the possessive form tiktoken uses: same splits, no backtracking
    "gpt2": r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    # GPT-4 (tiktoken's cl100k_base)
    "gpt4": (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
        r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    ),
    # Llama 3 (Meta's tokenizer.py): like GPT-4, but a run of blank lines stays together
    "llama3": (
        r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"""
        r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
}

BOS, EOS, PAD = "<|bos|>", "<|eos|>", "<|pad|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
MASK = "<|mask|>"  # stands for a hidden token of an encoder's text; only reserved if the recipe names it

# Reserved from the start, so that later training stages never have to grow the vocabulary: `<|bos|>` opens every
# document, `<|eos|>` ends an answer, a role opens a turn.
SPECIALS: tuple[str, ...] = (BOS, EOS, PAD, SYSTEM, USER, ASSISTANT)


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
    """Text to ids and back. Ids `0 … vocab_size-1` all exist: ordinary tokens by rank first, specials last."""

    def __init__(self, ranks: Mapping[bytes, int], pattern: str, specials: Mapping[str, int]) -> None:
        """Build from mergeable ranks (token bytes → id), a split regex and special tokens (name → id).

        Raises ValueError if the ids have a gap or a duplicate, if a single byte has no token, or if the pattern does
        not compile.
        """
        ids = sorted([*ranks.values(), *specials.values()])
        if ids != list(range(len(ids))):
            raise ValueError(
                f"The ids of {len(ranks)} tokens and {len(specials)} specials do not count 0 … {len(ids) - 1}: "
                "each id must be used exactly once."
            )
        bytes_without_token = [b for b in range(256) if bytes([b]) not in ranks]
        if bytes_without_token:
            raise ValueError(
                f"Byte {bytes_without_token[0]} has no token of its own, so some text could not be encoded: "
                "byte-pair ranks must contain all 256 single bytes."
            )
        self.ranks = dict(ranks)
        self.pattern = pattern
        self.specials = dict(specials)
        self.vocab_size = len(ids)
        self.sha256 = _identity(self.ranks, pattern, self.specials)
        self._encoding = _encoding(self)

    # ---- text and ids

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`. Text is data: the name of a special token in it is encoded as ordinary tokens."""
        return self._encoding.encode_ordinary(text)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, in a plain loop: measured faster per core than tiktoken's thread pool."""
        encode = self._encoding.encode_ordinary
        return [encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; invalid UTF-8 (half a character) becomes U+FFFD, special tokens their names."""
        return self._encoding.decode(list(ids), errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the exact bytes of `ids`, for callers that assemble characters across tokens."""
        return self._encoding.decode_bytes(list(ids))

    def token_bytes(self) -> np.ndarray:
        """Return how many bytes of text each id stands for: int32[vocab_size], 0 for specials.

        Bits per byte is the summed loss divided by the sum of these over the targets, which makes models with
        different vocabularies comparable.
        """
        table = np.zeros(self.vocab_size, dtype=np.int32)
        for token, rank in self.ranks.items():
            table[rank] = len(token)
        return table

    # ---- special ids

    def special(self, name: str) -> int:
        """Return the id of a special token such as `<|bos|>`."""
        try:
            return self.specials[name]
        except KeyError:
            known = ", ".join(n for n in self.specials if not n.startswith("<|reserved_"))
            raise KeyError(f"This tokenizer has no special token {name!r}; it has {known}.") from None

    @property
    def bos(self) -> int:
        """Id that opens every document."""
        return self.special(BOS)

    @property
    def eos(self) -> int:
        """Id that ends an answer."""
        return self.special(EOS)

    @property
    def pad(self) -> int:
        """Id used as padding in a batch; never a target."""
        return self.special(PAD)

    @property
    def system(self) -> int:
        """Id that opens a system message."""
        return self.special(SYSTEM)

    @property
    def user(self) -> int:
        """Id that opens a user's turn."""
        return self.special(USER)

    @property
    def assistant(self) -> int:
        """Id that opens the model's turn."""
        return self.special(ASSISTANT)

    # ---- folder

    def save(self, folder: Path | str) -> None:
        """Write the two files that `load` reads; each appears complete or not at all."""
        folder = Path(folder)
        description = {
            "format": "textmill tokenizer 1",
            "pattern": self.pattern,
            "specials": self.specials,
            "n_ranks": len(self.ranks),
            "vocab_size": self.vocab_size,
            "sha256": self.sha256,
        }
        with whole_path(folder / RANKS_FILE) as path:
            path.write_bytes(_rank_lines(self.ranks))
        with whole_path(folder / DESCRIPTION_FILE) as path:
            path.write_bytes(json.dumps(description, indent=1, ensure_ascii=False).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path | str) -> Tokenizer:
        """Read a folder that `save` wrote.

        Raises FileNotFoundError if it is not such a folder, ValueError if a file is damaged or the two do not match.
        """
        folder = Path(folder)
        for name in (RANKS_FILE, DESCRIPTION_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} is not a tokenizer folder: {name} is missing. "
                    "Name a folder that the tokenizer stage or Tokenizer.save wrote."
                )
        try:
            description = json.loads((folder / DESCRIPTION_FILE).read_bytes())
            ranks = parse_ranks((folder / RANKS_FILE).read_bytes())
            tokenizer = cls(ranks, description["pattern"], description["specials"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"The tokenizer in {folder} cannot be read: {error}") from error
        if tokenizer.sha256 != description.get("sha256"):
            raise ValueError(
                f"The tokenizer in {folder} is not the one its {DESCRIPTION_FILE} names: its content has sha256 "
                f"{tokenizer.sha256[:16]}…, the file says {str(description.get('sha256'))[:16]}…. "
                "A file was changed or damaged; build the tokenizer again."
            )
        return tokenizer

    def __reduce__(self) -> tuple[Any, ...]:
        return Tokenizer, (self.ranks, self.pattern, self.specials)

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size}, sha256={self.sha256[:16]}…)"


def parse_ranks(data: bytes) -> dict[bytes, int]:
    """Read tiktoken's rank file: lines of `base64(token) rank`."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        if not line:
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"Line {number} of the ranks is not `base64 rank` but {line[:40]!r}.") from error
    return ranks


def _rank_lines(ranks: Mapping[bytes, int]) -> bytes:
    ordered = sorted(ranks.items(), key=lambda item: item[1])
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ordered)


def _identity(ranks: Mapping[bytes, int], pattern: str, specials: Mapping[str, int]) -> str:
    """Return the sha256 of ranks, pattern and specials, each with its length so that different inputs never agree."""
    digest = hashlib.sha256()
    ordered = sorted(specials.items(), key=lambda item: item[1])
    for part in (_rank_lines(ranks), pattern.encode(), json.dumps(ordered, ensure_ascii=True).encode()):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _encoding(tokenizer: Tokenizer) -> Any:
    import tiktoken  # here, because a config module may import this one and must stay light

    try:
        return tiktoken.Encoding(
            name=f"textmill-{tokenizer.sha256[:16]}",
            pat_str=tokenizer.pattern,
            mergeable_ranks=tokenizer.ranks,
            special_tokens=tokenizer.specials,
            explicit_n_vocab=tokenizer.vocab_size,
        )
    except ValueError as error:
        raise ValueError(f"The split pattern {tokenizer.pattern!r} is not a regular expression: {error}") from error
