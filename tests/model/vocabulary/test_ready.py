"""Ready encodings: found wherever their ranks lie, refused if the ranks are others, never downloaded unasked."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from model.vocabulary import ready
from model.vocabulary.byte_pairs import rank_lines
from model.vocabulary.merges import merges_of, spelled
from model.vocabulary.ready import READY, Ready, ready_ranks, ready_tokenizer
from tests.model.vocabulary.small_models import learned_pairs

RANKS = learned_pairs("gpt2").ranks
URLS = ("https://example.org/vocab.bpe", "https://example.org/encoder.json")


@pytest.fixture(autouse=True)
def _small_encoding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The encodings are those of a small vocabulary, and tiktoken's cache is an empty folder."""
    digest = hashlib.sha256(rank_lines(RANKS)).hexdigest()
    small = Ready(READY["gpt2"].pattern, {"<|endoftext|>": len(RANKS)}, digest, URLS)
    monkeypatch.setattr(ready, "READY", {**READY, "gpt2": small})
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))


def write(folder: Path, form: str) -> Path:
    """Write the ranks in one of the forms that they come in; return what to name."""
    folder.mkdir(parents=True, exist_ok=True)
    merges = [" ".join(map(spelled, pair)) for pair in merges_of(RANKS)[0]]
    vocabulary = {spelled(token): rank for token, rank in RANKS.items()} | {"<|endoftext|>": len(RANKS)}
    if form == "tiktoken":
        (folder / "gpt2.tiktoken").write_bytes(rank_lines(RANKS))
    elif form == "pairs":
        (folder / "vocab.bpe").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
        (folder / "encoder.json").write_text(json.dumps(vocabulary))
    elif form == "cache":
        write(folder, "pairs")
        for name, url in zip(("vocab.bpe", "encoder.json"), URLS, strict=True):
            (folder / name).rename(folder / hashlib.sha1(url.encode()).hexdigest())
    else:
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"merges": merges, "vocab": vocabulary}}))
    return folder


@pytest.mark.parametrize("form", ["tiktoken", "pairs", "cache", "json"])
def test_ranks_are_read_in_every_form(tmp_path: Path, form: str) -> None:
    folder = write(tmp_path / "ranks", form)
    assert ready_ranks("gpt2", folder) == RANKS
    for file in folder.iterdir():
        if form != "cache":  # there the names say nothing
            assert ready_ranks("gpt2", file) == RANKS
    tokenizer = ready_tokenizer("gpt2", folder)
    assert tokenizer.bos == tokenizer.eos == tokenizer.pad == len(RANKS)
    assert tokenizer.vocab_size == len(RANKS) + 1


def test_the_cache_of_tiktoken_is_where_they_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"not in tiktoken's cache, .*/cache.*tokenizer.download"):
        ready_ranks("gpt2")
    write(tmp_path / "cache", "cache")
    assert ready_ranks("gpt2") == RANKS
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "cache"))
    assert ready_ranks("gpt2") == RANKS
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", "")
    with pytest.raises(FileNotFoundError, match="no folder"):
        ready_ranks("gpt2")


def test_other_ranks_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "ranks", "tiktoken")
    with pytest.raises(FileNotFoundError, match=r"ranks of o200k_base are not in .*/ranks: name a \*.tiktoken"):
        ready_ranks("o200k_base", folder)
    with pytest.raises(ValueError, match=r"ranks in .*gpt2.tiktoken are not those of o200k_base"):
        ready_ranks("o200k_base", folder / "gpt2.tiktoken")
    (folder / "gpt2.tiktoken").write_bytes(b"what is this")
    with pytest.raises(ValueError, match="holds no byte-pair ranks: Line 1"):
        ready_ranks("gpt2", folder)
    shutil.rmtree(folder)
    write(folder, "pairs")
    lines = (folder / "vocab.bpe").read_text("utf-8").splitlines()
    (folder / "vocab.bpe").write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]), "utf-8")
    with pytest.raises(ValueError, match="do not belong together"):
        ready_ranks("gpt2", folder)


def test_roles_that_are_missing_get_tokens_after_all_others(tmp_path: Path) -> None:
    plain = ready_tokenizer("gpt2", write(tmp_path, "tiktoken"))
    with pytest.raises(KeyError, match="no token for the role 'user'; it has bos, eos, pad"):
        _ = plain.user
    full = plain.with_roles(64)
    assert full.vocab_size % 64 == 0
    assert full.bos == full.eos == plain.eos
    assert full.pad == plain.vocab_size
    assert full.user != full.assistant != full.system
    assert full.encode("The mill") == plain.encode("The mill")
    assert full.sha256 != plain.sha256
    assert full.with_roles(64).sha256 == full.sha256
    full.save(tmp_path / "t")
    loaded = type(full).load(tmp_path / "t")
    assert (loaded.sha256, loaded.pad, loaded.user) == (full.sha256, full.pad, full.user)
    assert loaded.decode_bytes([loaded.vocab_size - 1]) == b""
    with pytest.raises(ValueError, match=r"Id \d+ is outside this tokenizer's vocabulary"):
        loaded.decode([loaded.vocab_size])
