"""Byte-pair vocabularies: ranks and a split pattern, applied by tiktoken (five times as fast as others per core)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

Ids = TypeVar("Ids")

# tiktoken looks for special tokens before it encodes into an array, and without any it would find "" at every byte. The
# name of this one in a text is text, as it is not allowed as a special token.
_NO_SPECIAL = "<|no special token|>"

RANKS_FILE = "ranks.tiktoken"

# Split patterns by name. Splitting before merging keeps a token from spanning two words.
PATTERNS: dict[str, str] = {
    # GPT-2 (Radford et al. 2019, encoder.py), in the possessive form tiktoken uses: same splits, no backtracking
    "gpt2": r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
    # GPT-4 (tiktoken's cl100k_base)
    "gpt4": (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
        r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    ),
    # GPT-4o (tiktoken's o200k_base): words begin anew at a capital, marks belong to their letters
    "gpt4o": (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
    # Llama 3 (Meta's tokenizer.py): like GPT-4, but a run of blank lines stays together
    "llama3": (
        r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"""
        r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
}


class BytePairs:
    """Tokens by rank, which is also their id, and the pattern that splits text before merging.

    normalizer: "NFC" if text is brought into this Unicode form before, as Qwen's tokenizer does.
    """

    kind = "byte pairs"
    drops_first_space = False

    def __init__(self, ranks: Mapping[bytes, int], pattern: str, normalizer: str | None = None) -> None:
        """Raises ValueError if a single byte has no token or the pattern does not compile."""
        bytes_without_token = [b for b in range(256) if bytes([b]) not in ranks]
        if bytes_without_token:
            raise ValueError(
                f"Byte {bytes_without_token[0]} has no token of its own, so some text could not be encoded: "
                "byte-pair ranks must contain all 256 single bytes."
            )
        if len(set(ranks.values())) != len(ranks):
            raise ValueError("Two tokens have the same rank, so ids could not be decoded: each must be used once.")
        if normalizer not in (None, "NFC"):
            raise ValueError(f"The normalizer {normalizer!r} is not known; it is NFC, or there is none.")
        self.ranks = dict(ranks)
        self.pattern = pattern
        self.normalizer = normalizer
        self.encode, self.encode_array = _encoders(self.ranks, pattern, normalizer)

    @property
    def keeps_text(self) -> bool:
        """Whether every text comes back as it was, if the pattern matches every character."""
        return self.normalizer is None

    def tokens(self) -> dict[int, bytes]:
        """Return the bytes of each id."""
        return {rank: token for token, rank in self.ranks.items()}

    def identity(self) -> Iterator[bytes]:
        """Yield what the vocabulary's identity is made of."""
        yield rank_lines(self.ranks)
        yield self.pattern.encode()

    def description(self) -> dict[str, Any]:
        """Return what the tokenizer's description says about it."""
        return {"pattern": self.pattern} | ({"normalizer": self.normalizer} if self.normalizer else {})

    def files(self) -> dict[str, bytes]:
        """Return the files it is stored in."""
        return {RANKS_FILE: rank_lines(self.ranks)}

    @classmethod
    def of_files(cls, files: Mapping[str, bytes], description: Mapping[str, Any]) -> BytePairs:
        """Return what `files` and `description` hold."""
        return cls(parse_ranks(files[RANKS_FILE]), description["pattern"], description.get("normalizer"))

    def __reduce__(self) -> tuple[Any, ...]:
        return BytePairs, (self.ranks, self.pattern, self.normalizer)


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


def rank_lines(ranks: Mapping[bytes, int]) -> bytes:
    """Return ranks as tiktoken's rank file, by rank."""
    ordered = sorted(ranks.items(), key=lambda item: item[1])
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ordered)


def _encoders(
    ranks: dict[bytes, int], pattern: str, normalizer: str | None
) -> tuple[Callable[[str], list[int]], Callable[[str], np.ndarray]]:
    """Return functions that encode a text into a list, and into uint32[], which takes a tenth less time."""
    import tiktoken  # here, because a config module may import this one and must stay light

    name = f"textmill-{hashlib.sha256(pattern.encode()).hexdigest()[:16]}"
    try:
        unused = {_NO_SPECIAL: max(ranks.values()) + 1}
        encoding = tiktoken.Encoding(name=name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=unused)
    except ValueError as error:
        raise ValueError(f"The split pattern {pattern!r} is not a regular expression: {error}") from error

    def encode_array(text: str) -> np.ndarray:
        try:
            return encoding.encode_to_numpy(text, disallowed_special=())
        except UnicodeEncodeError:
            return encoding.encode_to_numpy(whole_characters(text), disallowed_special=())

    if normalizer:
        return _after_nfc(encoding.encode_ordinary), _after_nfc(encode_array)
    return encoding.encode_ordinary, encode_array


def _after_nfc(encode: Callable[[str], Ids]) -> Callable[[str], Ids]:
    """Normalize with the library that Hugging Face's tokenizers do it with: Python's Unicode tables may be older."""
    from tokenizers.normalizers import NFC

    normalize = NFC().normalize_str

    def encode_normalized(text: str) -> Ids:
        return encode(text if text.isascii() else normalize(whole_characters(text)))

    return encode_normalized


def whole_characters(text: str) -> str:
    """Return text without halves of surrogate pairs, each of which becomes U+FFFD, as tiktoken does it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
