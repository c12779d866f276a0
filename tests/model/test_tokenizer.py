"""The tokenizer: round trips, identity, specials and their roles, and folders that are damaged."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.tokenizer import DESCRIPTION_FILE, PATTERNS, SPECIALS, Tokenizer, specials_after
from model.vocabulary.byte_pairs import RANKS_FILE


def tiny(pattern: str = "gpt4", extra: tuple[bytes, ...] = (b"th", b"the", b" the", "é".encode())) -> Tokenizer:
    ranks = {bytes([b]): b for b in range(256)}
    for token in extra:
        ranks[token] = len(ranks)
    return Tokenizer(ranks, PATTERNS[pattern], specials_after(len(ranks), 64))


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
@given(text=st.text())
def test_any_text_comes_back(pattern: str, text: str) -> None:
    tokenizer = TINY[pattern]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert all(i < tokenizer.vocab_size for i in ids)
    assert int(tokenizer.token_bytes()[ids].sum()) == len(text.encode())


TINY = {pattern: tiny(pattern) for pattern in PATTERNS}


def test_lone_surrogates_become_the_replacement_character() -> None:
    tokenizer = tiny()
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"


def test_half_a_character_decodes_to_the_replacement_character() -> None:
    tokenizer = tiny(extra=())
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\ufffd"


def test_names_of_specials_in_text_are_ordinary_letters() -> None:
    tokenizer = tiny()
    ids = tokenizer.encode("<|bos|><|eos|>")
    assert not set(ids) & set(tokenizer.specials.values())
    assert tokenizer.decode(ids) == "<|bos|><|eos|>"
    assert tokenizer.decode([tokenizer.bos]) == "<|bos|>"


def test_specials_fill_the_vocabulary_to_a_multiple() -> None:
    tokenizer = tiny()
    assert tokenizer.vocab_size == 320
    assert [tokenizer.special(name) for name in SPECIALS] == list(range(260, 266))
    assert tokenizer.special("<|reserved_0|>") == 266
    assert specials_after(58, 64) == {name: 58 + i for i, name in enumerate(SPECIALS)}
    with pytest.raises(KeyError, match=r"no special token '<\|tool\|>'.*<\|bos\|>"):
        tokenizer.special("<|tool|>")


def test_token_bytes_are_zero_for_specials() -> None:
    tokenizer = tiny()
    table = tokenizer.token_bytes()
    assert table.dtype == np.int32
    assert table.shape == (tokenizer.vocab_size,)
    assert not table[list(tokenizer.specials.values())].any()
    assert table[tokenizer.ranks[b" the"]] == 4


def test_identity_is_ranks_and_pattern_and_specials(tmp_path: Path) -> None:
    tokenizer = tiny()
    ranks = {bytes([b]): b for b in range(256)}
    assert tiny().sha256 == tokenizer.sha256
    assert tiny("gpt2").sha256 != tokenizer.sha256
    assert tiny(extra=(b"ht", b"the", b" the", "é".encode())).sha256 != tokenizer.sha256
    assert Tokenizer(ranks, "a", {"x": 256}).sha256 != Tokenizer(ranks, "a", {"y": 256}).sha256
    assert Tokenizer(ranks, "a", {"x": 256, "y": 257}).sha256 == Tokenizer(ranks, "a", {"y": 257, "x": 256}).sha256


def test_save_and_load(tmp_path: Path) -> None:
    tokenizer = tiny()
    tokenizer.save(tmp_path / "t")
    loaded = Tokenizer.load(tmp_path / "t")
    assert sorted(p.name for p in (tmp_path / "t").iterdir()) == [RANKS_FILE, DESCRIPTION_FILE]
    assert (loaded.sha256, loaded.vocab_size) == (tokenizer.sha256, tokenizer.vocab_size)
    assert loaded.encode("the thé") == tokenizer.encode("the thé")
    first = (tmp_path / "t" / RANKS_FILE).read_bytes()
    loaded.save(tmp_path / "u")
    assert (tmp_path / "u" / RANKS_FILE).read_bytes() == first


def test_pickles_for_worker_processes() -> None:
    tokenizer = tiny()
    assert pickle.loads(pickle.dumps(tokenizer)).encode("the") == tokenizer.encode("the")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / RANKS_FILE).unlink(), "is missing"),
        (lambda d: (d / RANKS_FILE).write_bytes((d / RANKS_FILE).read_bytes()[:-30]), "cannot be read"),
        (lambda d: (d / RANKS_FILE).write_bytes(b"what is this\n"), "Line 1"),
        (lambda d: (d / DESCRIPTION_FILE).write_text("{}"), "cannot be read"),
        (lambda d: (d / DESCRIPTION_FILE).write_text("[1"), "cannot be read"),
        (lambda d: _swap_pattern(d), "not the one"),
    ],
)
def test_damaged_folders_are_refused(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    tiny().save(tmp_path)
    damage(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Tokenizer.load(tmp_path)


def _swap_pattern(folder: Path) -> None:
    description = json.loads((folder / DESCRIPTION_FILE).read_text())
    description["pattern"] = PATTERNS["gpt2"]
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description))


def test_wrong_ranks_are_refused() -> None:
    ranks = {bytes([b]): b for b in range(256)}
    with pytest.raises(ValueError, match="exactly once"):
        Tokenizer(ranks, "a", {"x": 300})
    with pytest.raises(ValueError, match="Byte 65 has no token"):
        Tokenizer({t if t != b"A" else b"AA": r for t, r in ranks.items()}, "a", {})
    with pytest.raises(ValueError, match="not a regular expression"):
        Tokenizer(ranks, "(", {})


def test_ids_may_have_gaps_where_the_size_is_given() -> None:
    ranks = {bytes([b]): b for b in range(256)}
    tokenizer = Tokenizer(ranks, "a", {"x": 300}, vocab_size=320)
    assert tokenizer.vocab_size == 320
    assert tokenizer.token_bytes().shape == (320,)
    assert tokenizer.decode([97, 257, 300]) == "ax"
    for wrong in (-1, 320):
        with pytest.raises(ValueError, match=f"Id {wrong} is outside this tokenizer's vocabulary of 320"):
            tokenizer.decode([97, wrong])
    assert tokenizer.sha256 != Tokenizer(ranks, "a", {"x": 300}, vocab_size=301).sha256
    with pytest.raises(ValueError, match="id 300, which is outside the vocabulary of 300"):
        Tokenizer(ranks, "a", {"x": 300}, vocab_size=300)
    with pytest.raises(ValueError, match="exactly once"):
        Tokenizer(ranks, "a", {"x": 97}, vocab_size=320)


def test_roles_say_which_special_does_what() -> None:
    ranks = {bytes([b]): b for b in range(256)}
    plain = Tokenizer(ranks, "a", {"<|end|>": 256})
    with_roles = Tokenizer(ranks, "a", {"<|end|>": 256}, {"bos": "<|end|>", "eos": "<|end|>"})
    assert with_roles.bos == with_roles.eos == 256
    assert with_roles.sha256 != plain.sha256
    with pytest.raises(KeyError, match="no token for the role 'pad'; it has bos, eos"):
        _ = with_roles.pad
    with pytest.raises(ValueError, match=r"role 'bos' is given to '<\|bos\|>', which is no special"):
        Tokenizer(ranks, "a", {"<|end|>": 256}, {"bos": "<|bos|>"})


def test_identities_stay_what_they_were() -> None:
    """Models and tokens of earlier versions name their tokenizer by it."""
    assert tiny().sha256 == "46ce1411d587f01d6983447589f7783c8ab22db1b123a5623f7296d11cd6fc57"
