"""Ready encodings by name (GPT-2's, GPT-4's, GPT-4o's), from tiktoken's cache or from rank files; ids equal tiktoken's.

Whatever form a file has (tiktoken's ranks, vocab.bpe with encoder.json, tokenizer.json), its ranks must have the sha256
that tiktoken knows for the encoding, so that a name always means the same ids.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.tokenizer import ROLES, Tokenizer
from model.vocabulary.byte_pairs import PATTERNS, parse_ranks, rank_lines
from model.vocabulary.merges import byte_letters, ranks_if_equal, read_merges, unspelled

END_OF_TEXT = "<|endoftext|>"
_PLACE = "https://openaipublic.blob.core.windows.net/"
_FIM = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}


@dataclass(frozen=True)
class Ready:
    """An encoding: its split pattern, its special tokens, the sha256 of its ranks, and where tiktoken has them from."""

    pattern: str
    specials: Mapping[str, int]
    sha256: str
    urls: tuple[str, ...]


_R50K = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
READY: dict[str, Ready] = {
    "gpt2": Ready(
        PATTERNS["gpt2"],
        {END_OF_TEXT: 50256},
        _R50K,
        (f"{_PLACE}gpt-2/encodings/main/vocab.bpe", f"{_PLACE}gpt-2/encodings/main/encoder.json"),
    ),
    "r50k_base": Ready(PATTERNS["gpt2"], {END_OF_TEXT: 50256}, _R50K, (f"{_PLACE}encodings/r50k_base.tiktoken",)),
    "cl100k_base": Ready(
        PATTERNS["gpt4"],
        {END_OF_TEXT: 100257, **_FIM, "<|endofprompt|>": 100276},
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        (f"{_PLACE}encodings/cl100k_base.tiktoken",),
    ),
    "o200k_base": Ready(
        PATTERNS["gpt4o"],
        {END_OF_TEXT: 199999, "<|endofprompt|>": 200018},
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        (f"{_PLACE}encodings/o200k_base.tiktoken",),
    ),
}
"""As in tiktoken's `tiktoken_ext/openai_public.py`."""

# Where GPT-2's ranks may lie: they are those of r50k_base.
_SAME = {"gpt2": ("gpt2", "r50k_base"), "r50k_base": ("r50k_base", "gpt2")}
_PAIRS = (("vocab.bpe", "encoder.json"), ("merges.txt", "vocab.json"), ("gpt2_merges.txt", "gpt2_vocab.json"))


def ready_tokenizer(name: str, files: Path | str | None = None) -> Tokenizer:
    """Return a ready encoding with its own special tokens; <|endoftext|> opens and ends documents, and pads.

    files: a file with its ranks (*.tiktoken, or tokenizer.json) or a folder with such a file; None = tiktoken's cache.

    Raises FileNotFoundError if its ranks are not there, ValueError if the file holds others.
    """
    ready = READY[name]
    ranks = ready_ranks(name, files)
    size = max(ready.specials.values()) + 1
    roles = {role: END_OF_TEXT for role in ROLES if role in ("bos", "eos", "pad")}
    return Tokenizer(ranks, ready.pattern, ready.specials, roles, vocab_size=size)


def ready_ranks(name: str, files: Path | str | None = None) -> dict[bytes, int]:
    """Return the ranks of a ready encoding; see `ready_tokenizer`."""
    places = [Path(files).expanduser()] if files else cache_folders()
    found = [paths for place in places for paths in _candidates(name, place)]
    if not found:
        raise FileNotFoundError(_missing(name, places, named=bool(files)))
    wrong = ""
    for paths in found:
        try:
            ranks = _read(paths)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wrong = f"{paths[0]} holds no byte-pair ranks: {error}"
            continue
        if hashlib.sha256(rank_lines(ranks)).hexdigest() == READY[name].sha256:
            return ranks
        wrong = f"The {len(ranks):,} ranks in {paths[0]} are not those of {name}: their sha256 differs from tiktoken's."
    raise ValueError(f"{wrong} Name the file of {name}, or import the tokenizer under no name (tokenizer.ready: null).")


def fetch(name: str) -> None:
    """Download the ranks of an encoding into tiktoken's cache, if they are not there; raises OSError if it fails."""
    from tiktoken.load import read_file_cached

    for url in READY[name].urls:
        read_file_cached(url)


def cache_folders() -> list[Path]:
    """Return where tiktoken keeps what it downloads: $TIKTOKEN_CACHE_DIR, $DATA_GYM_CACHE_DIR or its default."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return [Path(os.environ[variable])] if os.environ[variable] else []
    return [Path(tempfile.gettempdir()) / "data-gym-cache"]


def _candidates(name: str, place: Path) -> Iterator[tuple[Path, ...]]:
    """Yield the files at a place that may hold the encoding's ranks: one, or two that belong together."""
    if place.is_file():
        other = next((place.with_name(pair[1 - i]) for pair in _PAIRS for i in (0, 1) if pair[i] == place.name), None)
        yield (place,) if other is None else tuple(sorted((place, other), key=lambda path: path.suffix == ".json"))
        return
    names = _SAME.get(name, (name,))
    cached = [[hashlib.sha1(url.encode()).hexdigest() for url in READY[one].urls] for one in names]
    listed = [*cached, *([f"{one}.tiktoken"] for one in names), *map(list, _PAIRS), ["tokenizer.json"]]
    for files in listed:
        paths = tuple(place / file for file in files)
        if all(path.is_file() for path in paths):
            yield paths


def _read(paths: tuple[Path, ...]) -> dict[bytes, int]:
    if len(paths) == 2:
        return _ranks_of_pairs(paths[0].read_text("utf-8"), json.loads(paths[1].read_bytes()))
    data = paths[0].read_bytes()
    if not data.lstrip().startswith(b"{"):
        return parse_ranks(data)
    model = json.loads(data)["model"]
    merges = "\n".join(pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
    return _ranks_of_pairs(merges, model["vocab"])


def _ranks_of_pairs(merges: str, vocabulary: Mapping[str, int]) -> dict[bytes, int]:
    """Return the ranks that merges and ids make together, without special tokens."""
    pairs = list(read_merges(merges.split("\n")))
    texts = {*(left + right for left, right in pairs), *(bytes([byte]) for byte in range(len(byte_letters())))}
    tokens = {token: id_ for name, id_ in vocabulary.items() if (token := unspelled(name)) in texts}
    ranks = ranks_if_equal(tokens, pairs)
    if ranks is None:
        raise ValueError("its merges and ids do not belong together.")
    return ranks


def _missing(name: str, places: list[Path], *, named: bool) -> str:
    where = " and ".join(map(str, places)) or "no folder (TIKTOKEN_CACHE_DIR is empty)"
    if named:
        return (
            f"The ranks of {name} are not in {where}: name a *.tiktoken file, a tokenizer.json, or a folder with "
            f"{name}.tiktoken, vocab.bpe and encoder.json, merges.txt and vocab.json."
        )
    return (
        f"The ranks of {name} are not in tiktoken's cache, {where}. Name a file or folder that has them "
        "(tokenizer.files), set TIKTOKEN_CACHE_DIR, or allow the download (tokenizer.download: true)."
    )
