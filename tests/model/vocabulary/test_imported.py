"""Import of tokenizers: ids are those of the library they come from, roles those that the files beside name."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from model.tokenizer import Tokenizer
from model.vocabulary.byte_pairs import BytePairs, rank_lines
from model.vocabulary.exported import document_of, export_tokenizer
from model.vocabulary.imported import fingerprint, import_tokenizer
from model.vocabulary.merges import merges_of, spelled
from model.vocabulary.pieces import Pieces, added_token
from model.vocabulary.sentence_pieces import SentencePieces
from tests.model.vocabulary.small_models import HARD, imported_pieces, learned_pairs, sentencepiece_model

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = {"pre_tokenizer": BYTE_LEVEL}
SMOLLM = {
    "pre_tokenizer": {
        "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]
    }
}  # fmt: skip
QWEN3 = {
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": QWEN}, "behavior": "Isolated", "invert": False},
            {**BYTE_LEVEL, "use_regex": False},
        ],
    },
}


def document(change: dict[str, Any]) -> dict[str, Any]:
    """A byte-level BPE of GPT-2's kind with something else about it."""
    return copy.deepcopy(document_of(learned_pairs("gpt2"))) | change


def write(folder: Path, **files: Any) -> Path:
    """Write JSON files, `config` as config.json and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("change", [GPT2, SMOLLM, QWEN3], ids=["gpt2", "smollm", "qwen3"])
def test_byte_level_bpe_becomes_ranks(tmp_path: Path, change: dict[str, Any]) -> None:
    made = import_tokenizer(write(tmp_path, tokenizer=document(change)))
    assert isinstance(made.vocabulary, BytePairs)
    assert made.vocabulary.ranks == learned_pairs("gpt2").ranks


@pytest.mark.parametrize(
    "change",
    [
        {"pre_tokenizer": {**BYTE_LEVEL, "add_prefix_space": True}},
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, BYTE_LEVEL]}},
    ],
    ids=["prefix", "lower", "words"],
)  # fmt: skip
def test_what_ranks_cannot_say_stays_with_its_library(tmp_path: Path, change: dict[str, Any]) -> None:
    import tokenizers

    made = import_tokenizer(write(tmp_path, tokenizer=document(change)))
    assert isinstance(made.vocabulary, Pieces)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in HARD:
        if text not in made.specials:
            assert made.encode(text) == theirs.encode(text).ids


def test_merges_in_another_order_than_ids_stay_with_their_library(tmp_path: Path) -> None:
    given = document(GPT2)
    merges = given["model"]["merges"]
    merges[-2:] = [merges[-1], merges[-2]]
    assert isinstance(import_tokenizer(write(tmp_path, tokenizer=given)).vocabulary, Pieces)


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "gpt4o", "llama3"])
def test_what_left_from_here_comes_back_as_the_same(tmp_path: Path, pattern: str) -> None:
    ours = learned_pairs(pattern)
    export_tokenizer(ours, tmp_path, "template")
    assert import_tokenizer(tmp_path).sha256 == ours.sha256
    ours.save(tmp_path / "own")
    assert import_tokenizer(tmp_path / "own").sha256 == ours.sha256


def test_gpt2_s_own_two_files(tmp_path: Path) -> None:
    ours = learned_pairs("gpt2")
    vocabulary = {spelled(token): id_ for token, id_ in ours.ranks.items()} | {"<|endoftext|>": 600}
    write(tmp_path, vocab=vocabulary)
    with pytest.raises(ValueError, match=r"merges\.txt is missing beside vocab\.json"):
        import_tokenizer(tmp_path)
    lines = ["#version: 0.2", *(" ".join(map(spelled, pair)) for pair in merges_of(ours.ranks)[0])]
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    made = import_tokenizer(tmp_path)
    assert isinstance(made.vocabulary, BytePairs)
    assert made.specials == {"<|endoftext|>": 600}
    assert made.bos == made.eos == made.pad == 600
    assert [made.encode(text) for text in HARD] == [ours.encode(text) for text in HARD]


def test_the_two_files_of_others_are_read_as_their_class_says(tmp_path: Path) -> None:
    import tokenizers

    ours = learned_pairs("gpt2")
    lines = [" ".join(map(spelled, pair)) for pair in merges_of(ours.ranks)[0]]
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    added = {str(600 + i): {"content": name, "special": not i} for i, name in enumerate(("<|im_end|>", "<think>"))}
    config = {"tokenizer_class": "Qwen2TokenizerFast", "added_tokens_decoder": added, "eos_token": "<|im_end|>"}
    write(tmp_path, vocab={spelled(token): id_ for token, id_ in ours.ranks.items()}, tokenizer_config=config)
    made = import_tokenizer(tmp_path, 640)
    assert isinstance(made.vocabulary, BytePairs)
    assert (made.specials, made.eos) == ({"<|im_end|>": 600, "<think>": 601}, 600)
    theirs = tokenizers.Tokenizer.from_str(json.dumps(document(QWEN3)))
    assert all(made.encode(text) == theirs.encode(text).ids for text in HARD if text not in ours.specials)
    write(tmp_path, tokenizer_config={"tokenizer_class": "RobertaTokenizer"})
    with pytest.raises(ValueError, match=r"do not say how a RobertaTokenizer splits text.*save_pretrained"):
        import_tokenizer(tmp_path)


def test_roles_come_from_the_files_beside(tmp_path: Path) -> None:
    given = document(QWEN3)
    size = len(given["model"]["vocab"])
    names = ("<|end|>", "<|im_end|>", "<tool>")
    given["added_tokens"] = [added_token(name, size + i) for i, name in enumerate(names)]
    given["added_tokens"][2]["special"] = False
    given["model"]["vocab"] = {name: id_ for name, id_ in given["model"]["vocab"].items() if not name.startswith("<|")}
    first = size - len(given["model"]["vocab"])
    for added in given["added_tokens"]:
        added["id"] -= first
    ids = {added["content"]: added["id"] for added in given["added_tokens"]}
    write(
        tmp_path,
        tokenizer=given,
        tokenizer_config={"bos_token": None, "eos_token": {"content": "<|im_end|>"}, "pad_token": "<|end|>"},
        config={"bos_token_id": ids["<|end|>"], "eos_token_id": 0, "vocab_size": 1000},
    )
    made = import_tokenizer(tmp_path, 1000)
    assert made.specials == ids
    assert made.roles == {"bos": "<|end|>", "eos": "<|im_end|>", "pad": "<|end|>"}
    assert made.vocab_size == 1000
    assert made.decode([ids["<tool>"], 999]) == "<tool>"
    assert not set(made.encode("<tool><|im_end|>")) & set(ids.values())
    (tmp_path / "tokenizer_config.json").unlink()
    write(tmp_path, generation_config={"eos_token_id": [ids["<|im_end|>"], ids["<|end|>"]]})
    assert import_tokenizer(tmp_path).roles == {"bos": "<|end|>", "eos": "<|im_end|>", "pad": "<|im_end|>"}
    with pytest.raises(ValueError, match=r"does not fit the model: it has ids up to .*only 500 rows.*belongs"):
        import_tokenizer(tmp_path, 500)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_sentencepiece_models_and_their_json(tmp_path: Path, kind: str) -> None:
    ours = imported_pieces(kind)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tokenizer.model").write_bytes(sentencepiece_model(kind))
    made = import_tokenizer(tmp_path / "a", 512)
    assert isinstance(made.vocabulary, SentencePieces)
    assert (made.bos, made.eos, made.vocab_size) == (1, 2, 512)
    write(tmp_path / "a", added_tokens={"<|im_start|>": 450}, tokenizer_config={"eos_token": "<|im_start|>"})
    assert import_tokenizer(tmp_path / "a").eos == 450
    export_tokenizer(ours, tmp_path / "b")
    from_json = import_tokenizer(tmp_path / "b")
    assert isinstance(from_json.vocabulary, Pieces)
    for text in HARD:
        assert made.encode(text) == from_json.encode(text) == ours.encode(text)
        assert made.decode(made.encode(text)) == from_json.decode(made.encode(text))


def test_a_fingerprint_knows_every_file_that_is_read(tmp_path: Path) -> None:
    write(tmp_path, tokenizer=document(GPT2))
    first = fingerprint(tmp_path)
    write(tmp_path, other={})
    assert fingerprint(tmp_path) == first
    write(tmp_path, special_tokens_map={"eos_token": "<|eos|>"})
    assert fingerprint(tmp_path) != first


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"{", "is no valid JSON"),
        ("tokenizer.json", b"[]", "holds no JSON object"),
        ("tokenizer.json", b"{}", "has no model"),
        ("tokenizer.json", b'{"model": {}}', "cannot be imported"),
        ("tokenizer.json", b'{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}', "cannot be imported"),
        ("tokenizer.json", b'{"added_tokens": [7], "model": {"type": "BPE", "vocab": {}, "merges": []}}', "cannot be"),
        ("tokenizer.json", b'{"model": {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a", '
                           b'"continuing_subword_prefix": "##", "max_input_chars_per_word": 9}}', "model is WordPiece"),
        ("tokenizer.model", b"nonsense", "no SentencePiece model"),
        ("tokenizer.model", rank_lines({b"a": 0, b"b": 1}), "ranks as tiktoken's files do"),
        ("vocab.json", b'{"a": 0}', "merges.txt is missing"),
        ("other.txt", b"", "There is no tokenizer"),
    ],
)  # fmt: skip
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        import_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_damage_anywhere_is_a_sentence(tmp_path: Path) -> None:
    """Each section of the document replaced by something else: imported all the same, or refused with a reason."""
    for section in ("model", "added_tokens", "pre_tokenizer", "normalizer", "decoder", "post_processor"):
        for wrong in (None, 7, "x", [], {}, [{}], {"type": "x"}):
            write(tmp_path, tokenizer=document(GPT2) | {section: wrong})
            with contextlib.suppress(ValueError):
                assert isinstance(import_tokenizer(tmp_path), Tokenizer)


def test_damage_at_any_depth_is_a_sentence(tmp_path: Path) -> None:
    """One value of the document replaced or left out; what is imported all the same encodes and decodes."""
    generator = random.Random(0)
    documents = (document(GPT2), document_of(imported_pieces("bpe")), document_of(imported_pieces("unigram")))
    wrongs = (None, -1, 0, 7, 10**12, 1.5, "x", "", True, [], {}, [1], ["a", "b"], {"type": "x"})
    for _ in range(45):
        given = copy.deepcopy(generator.choice(documents))
        inner: Any = given
        while isinstance(inner, dict | list) and inner:
            outer, key = inner, generator.choice(list(inner) if isinstance(inner, dict) else range(min(6, len(inner))))
            inner = outer[key]
            if generator.random() < 0.4:
                break
        if isinstance(outer, dict) and generator.random() < 0.2:
            del outer[key]
        else:
            outer[key] = generator.choice(wrongs)
        write(tmp_path, tokenizer=given)
        with contextlib.suppress(ValueError):
            made = import_tokenizer(tmp_path, 1000)
            made.decode(made.encode("The mill <|bos|> é☃"))
