"""Byte-pair merges and ranks, and GPT-2's spelling of bytes as letters: what its own and Hugging Face's files hold.

tiktoken keeps one rank for each token and merges whichever neighbours spell the token of the lowest rank. Hugging
Face's files list the merges, as pairs. The two are equal if a token's bytes, merged with all lower ranks, leave
exactly the two parts that its merge names, and if merges are listed by rank.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping


@functools.cache
def byte_letters() -> tuple[str, ...]:
    """Return the letter of each byte in GPT-2's files (encoder.py): itself where printable, else one from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return tuple(chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256))


@functools.cache
def letter_bytes() -> dict[str, int]:
    """Return the byte of each letter."""
    return {letter: byte for byte, letter in enumerate(byte_letters())}


def spelled(token: bytes) -> str:
    """Return bytes as GPT-2's files spell them: b" the" is Ġthe."""
    letters = byte_letters()
    return "".join(letters[byte] for byte in token)


def unspelled(name: str) -> bytes | None:
    """Return the bytes that GPT-2's files spell so, or None if a letter stands for no byte."""
    try:
        return bytes(map(letter_bytes().__getitem__, name))
    except KeyError:
        return None


def parts_of(token: bytes, ranks: Mapping[bytes, int]) -> list[bytes]:
    """Return what is left of a token's bytes after all merges of a lower rank than its own."""
    limit = ranks[token]
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        found = [(ranks.get(left + right, limit), i) for i, (left, right) in enumerate(itertools.pairwise(parts))]
        rank, at = min(found)
        if rank >= limit:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def merges_of(ranks: Mapping[bytes, int]) -> tuple[list[tuple[bytes, bytes]], int]:
    """Return the merge of each token of several bytes, by rank, and how many tokens no merge can make.

    tiktoken gives such a token only where a whole piece of text is that token.
    """
    merges, unreachable = [], 0
    for token in sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__):
        parts = parts_of(token, ranks)
        if len(parts) == 2:
            merges.append((parts[0], parts[1]))
        else:
            unreachable += 1
    return merges, unreachable


def ranks_if_equal(tokens: Mapping[bytes, int], merges: Iterable[tuple[bytes, bytes]]) -> dict[bytes, int] | None:
    """Return ids as tiktoken's ranks if these encode every text as the merges do, else None.

    That is so if all 256 bytes are tokens, the tokens that merges make are listed with growing ids, and each token of
    several bytes is made by the merge that tiktoken would do.
    """
    if any(bytes([byte]) not in tokens for byte in range(256)):
        return None
    listed: set[tuple[bytes, bytes]] = set()
    last = -1
    for left, right in merges:
        made = tokens.get(left + right, -1)
        if made < last or left not in tokens or right not in tokens:
            return None
        last = made
        listed.add((left, right))
    for token in tokens:
        if len(token) > 1:
            parts = parts_of(token, tokens)
            if len(parts) != 2 or (parts[0], parts[1]) not in listed:
                return None
    return dict(tokens)


def read_merges(lines: Iterable[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of a file such as vocab.bpe or merges.txt; raises ValueError, naming the line, if one is none."""
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        pair = [unspelled(part) for part in line.rstrip("\r\n").split(" ")]
        if len(pair) != 2 or not pair[0] or not pair[1]:
            raise ValueError(f"Line {number} of the merges is not a pair of tokens but {line[:40]!r}.")
        yield pair[0], pair[1]
