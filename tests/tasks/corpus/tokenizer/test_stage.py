"""The tokenizer stage: learns from training documents only, fills the vocabulary it can, and gives all text back.

Also covers: tasks/corpus/tokenizer/config.py
Also covers: tasks/corpus/tokenizer/elsewhere.py
Also covers: tasks/corpus/tokenizer/measure.py
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import doc_id, shard_path, split_of, write_parquet
from data_lake.tables.schemas import CORPUS
from model.tokenizer import PATTERNS, Tokenizer
from model.vocabulary import ready
from model.vocabulary.byte_pairs import rank_lines
from model.vocabulary.exported import export_tokenizer
from model.vocabulary.ready import Ready
from tasks.corpus.splits import SplitConfig
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.corpus.tokenizer.measure import measured
from tasks.corpus.tokenizer.preflight import SAMPLE
from tasks.stage import ContractError, PermanentError, kinds
from tasks.stage.output import local_output
from tests.model.vocabulary.small_models import learned_pairs

Given = Callable[..., Artifact]
HALVES = SplitConfig(val=0.25, test=0.25)


def texts(count: int, seed: int = 0) -> list[str]:
    generator = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyzäé"
    vocabulary = ["".join(generator.choices(letters, k=generator.randrange(2, 9))) for _ in range(300)]
    return [" ".join(generator.choices(vocabulary, k=200)) for _ in range(count)]


def build(lake: Lake, documents: Artifact, **config: object) -> Artifact:
    return tokenizer.build(lake, TokenizerConfig(**config), {"corpus": documents}).artifact


def test_it_has_the_size_asked_for_and_gives_text_back(lake: Lake, given_documents: Given) -> None:
    made = build(lake, given_documents(texts(20)), vocab_size=512)
    loaded = Tokenizer.load(made.path)
    assert loaded.vocab_size == made.counts["vocab_size"] == 512
    assert loaded.decode(loaded.encode(SAMPLE)) == SAMPLE
    assert tokenizer.violations(made) == []
    text = texts(1)[0]
    assert len(loaded.encode(text)) < len(text.encode()) * 0.6


def test_a_small_corpus_fills_less(lake: Lake, given_documents: Given) -> None:
    made = build(lake, given_documents(["aaaa bbbb"] * 3), vocab_size=8192)
    assert made.counts["vocab_size"] == 320
    assert made.counts["vocab_size"] % 64 == 0


def test_more_specials_are_reserved(lake: Lake, given_documents: Given) -> None:
    made = build(lake, given_documents(texts(5)), vocab_size=320, specials=("<|tool|>",))
    loaded = Tokenizer.load(made.path)
    assert loaded.vocab_size == 320
    assert loaded.special("<|tool|>") == loaded.special("<|assistant|>") + 1
    for wrong in (("<|bos|>",), ("a", "a"), ("",)):
        with pytest.raises(ValidationError, match="cannot be reserved"):
            TokenizerConfig(specials=wrong)
    with pytest.raises(ValidationError, match="too small for 256 bytes and 106"):
        TokenizerConfig(vocab_size=320, specials=tuple(f"<{i}>" for i in range(100)))


def test_held_out_documents_are_not_learned_from(lake: Lake, given_documents: Given) -> None:
    """Every document has a word of its own; those of held-out ones never became tokens."""
    words = [f"{chr(0x4E00 + i)}{chr(0x5000 + i)}" for i in range(60)]
    made = build(lake, given_documents([f"{word} " * 50 for word in words], split=HALVES), vocab_size=1024)
    loaded = Tokenizer.load(made.path)
    for i, word in enumerate(words):
        split = split_of(doc_id(url=f"http://example.org/{i}"), HALVES.val, HALVES.test)
        assert (any(word.encode() in token for token in loaded.ranks)) == (split == "train")


def test_the_same_documents_make_the_same_bytes(lake: Lake, given_documents: Given) -> None:
    given = texts(12)
    one = build(lake, given_documents(given), vocab_size=512)
    two = build(lake, given_documents(given, shards=3), vocab_size=512)
    assert one.key != two.key
    assert one.content == two.content


def test_a_large_corpus_is_sampled(lake: Lake, given_documents: Given) -> None:
    given = texts(40)
    made = build(lake, given_documents(given), vocab_size=512, max_bytes=sum(map(len, given)) // 4)
    assert 0 < made.counts["trained_on_bytes"] < sum(len(text.encode()) for text in given) // 2


def test_a_pattern_that_loses_text_breaks_the_contract(lake: Lake, given_documents: Given) -> None:
    with pytest.raises(ContractError, match=r"loses text.*must match every character"):
        build(lake, given_documents(texts(3)), vocab_size=320, pattern=r"\p{L}+")


def test_mistakes_are_sentences(lake: Lake, given_documents: Given) -> None:
    documents = given_documents(texts(3))
    with pytest.raises(PermanentError, match=r"pattern '\(' cannot be used"):
        build(lake, documents, pattern="(")
    with pytest.raises(PermanentError, match="None of the 0 documents"):
        build(lake, given_documents([]))
    with pytest.raises(ValidationError, match="multiple of 64"):
        TokenizerConfig(vocab_size=1000)


def test_a_changed_file_breaks_the_contract(lake: Lake, given_documents: Given) -> None:
    made = build(lake, given_documents(texts(5)), vocab_size=320)
    path = made.path / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pattern": PATTERNS["gpt2"]}))
    assert any("not the one" in problem for problem in tokenizer.violations(made))


def test_a_unigram_vocabulary_is_learned_as_well(lake: Lake, given_documents: Given, tmp_path: Path) -> None:
    given = texts(12)
    made = build(lake, given_documents(given), vocab_size=512, algorithm="unigram")
    loaded = Tokenizer.load(made.path)
    assert loaded.vocab_size == made.counts["vocab_size"] == 512
    assert (loaded.bos, loaded.special("<|reserved_0|>") if made.counts["specials"] > 6 else 506) == (506, 506)
    assert len(loaded.encode(given[0])) < len(given[0].encode()) * 0.6
    for text in (*given[:2], SAMPLE, "▁ <|bos|>"):
        assert loaded.decode(loaded.encode(text)) == text
    assert build(lake, given_documents(given, shards=3), vocab_size=512, algorithm="unigram").content == made.content
    assert tokenizer.violations(made) == []


def test_a_ready_encoding_is_the_same_for_every_corpus(
    lake: Lake, given_documents: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = learned_pairs("gpt2").ranks
    small = Ready(
        PATTERNS["gpt2"], {"<|endoftext|>": len(ranks)}, hashlib.sha256(rank_lines(ranks)).hexdigest(), ("x",)
    )
    monkeypatch.setattr(ready, "READY", {**ready.READY, "gpt2": small})
    (tmp_path / "gpt2.tiktoken").write_bytes(rank_lines(ranks))
    documents = given_documents(texts(12), split=HALVES)
    one = build(lake, documents, ready="gpt2", files=str(tmp_path))
    loaded = Tokenizer.load(one.path)
    assert loaded.bos == loaded.eos == len(ranks)
    assert loaded.vocab_size % 64 == 0
    assert loaded.user > loaded.pad > loaded.eos
    (all_text, *_) = json.loads((one.path / "bytes_per_token.json").read_text())
    assert all_text["gpt2_bytes_per_token"] == all_text["bytes_per_token"] == one.metrics["gpt2_bytes_per_token"]
    (tmp_path / "moved").mkdir()
    (tmp_path / "gpt2.tiktoken").rename(tmp_path / "moved" / "gpt2.tiktoken")
    two = build(lake, given_documents(texts(5)), ready="gpt2", files=str(tmp_path / "moved"))
    assert two.content == one.content
    plain = build(lake, documents, ready="gpt2", files=str(tmp_path / "moved"), roles=False)
    assert plain.counts["vocab_size"] == len(ranks) + 1
    with pytest.raises(PermanentError, match=r"ranks of gpt2 are not in .*nowhere"):
        build(lake, given_documents(texts(6)), ready="gpt2", files=str(tmp_path / "nowhere"))


def test_ranks_are_downloaded_only_if_the_recipe_says_so(
    lake: Lake, given_documents: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("tiktoken.load.read_file_cached", asked.append)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    documents = given_documents(texts(3))
    for config in ({"ready": "gpt2"}, {"ready": "gpt2", "download": True, "files": str(tmp_path)}):
        with pytest.raises(PermanentError, match="ranks of gpt2 are not in"):
            build(lake, documents, **config)
    assert asked == []
    with pytest.raises(PermanentError, match="ranks of gpt2 are not in"):  # as nothing came
        build(lake, documents, ready="gpt2", download=True)
    assert asked == list(ready.READY["gpt2"].urls)


def test_an_imported_tokenizer_is_in_the_key_with_its_content(
    lake: Lake, given_documents: Given, tmp_path: Path
) -> None:
    documents = given_documents(texts(5))
    export_tokenizer(learned_pairs("llama3"), tmp_path)
    one = build(lake, documents, files=str(tmp_path))
    assert Tokenizer.load(one.path).sha256 == learned_pairs("llama3").sha256
    export_tokenizer(learned_pairs("gpt2"), tmp_path)
    assert build(lake, documents, files=str(tmp_path)).key != one.key
    (tmp_path / "my.tiktoken").write_bytes(rank_lines(learned_pairs("llama3").ranks))
    three = Tokenizer.load(build(lake, documents, files=str(tmp_path / "my.tiktoken"), pattern="llama3").path)
    assert three.encode(SAMPLE) == learned_pairs("llama3").encode(SAMPLE)
    with pytest.raises(PermanentError, match="There is no tokenizer"):
        build(lake, documents, files=str(tmp_path / "nowhere"))
    with pytest.raises(ValidationError, match="only with roles"):
        TokenizerConfig(ready="gpt2", roles=False, specials=("<|tool|>",))


def test_a_base_model_brings_its_tokenizer(lake: Lake, given_documents: Given) -> None:
    learned_pairs().save(lake.root / "model" / "tokenizer")
    documents = given_documents(texts(5))
    out = local_output(lake.root / "out")
    base = kinds.Model("import_model", "0" * 64, lake.root / "model", documents.manifest)
    tokenizer(TokenizerConfig(), out, kinds.Corpus(*vars(documents).values()), base)
    assert Tokenizer.load(out.dir).sha256 == learned_pairs().sha256


def test_bytes_per_token_are_reported_by_source_and_language(lake: Lake, tmp_path: Path) -> None:
    rows = [
        {"doc_id": f"{i:016x}", "source": f"{'ab'[i % 2]}.org", "language": ["en", None][i // 4], "text": text,
         "n_bytes": len(text.encode()), "split": "train" if i == 7 else "val"}
        for i, text in enumerate(texts(8))
    ]  # fmt: skip
    write_parquet(shard_path(tmp_path / "documents", 0), pa.Table.from_pylist(rows, schema=CORPUS))
    ours, gpt2 = learned_pairs(), learned_pairs("gpt2")
    report = {(row["by"], row["name"]): row for row in measured(ours, tmp_path, gpt2).rows()}
    named = {("language", "en"), ("language", "unknown"), ("source", "a.org"), ("source", "b.org")}
    assert set(report) == {("all", ""), *named}
    held_out = [row for row in rows if row["split"] != "train"]
    for (by, name), row in report.items():
        chosen = [r for r in held_out if by == "all" or (r[by] or "unknown") == name]
        size = sum(r["n_bytes"] for r in chosen)
        assert (row["documents"], row["bytes"]) == (len(chosen), size)
        assert row["bytes_per_token"] == size / sum(len(ours.encode(r["text"])) for r in chosen)
        assert row["gpt2_bytes_per_token"] == size / sum(len(gpt2.encode(r["text"])) for r in chosen)
    assert all(row["gpt2_bytes_per_token"] is None for row in measured(ours, tmp_path, None).rows())


def test_nothing_is_reported_that_is_not_known(
    lake: Lake, given_documents: Given, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    made = build(lake, given_documents(texts(5), split=SplitConfig(val=0, test=0)), vocab_size=320)
    assert made.metrics == {"bytes_per_token": None, "gpt2_bytes_per_token": None}
    (row,) = json.loads((made.path / "bytes_per_token.json").read_text())
    assert (row["documents"], row["bytes_per_token"], row["gpt2_bytes_per_token"]) == (0, None, None)


@pytest.mark.parity
@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_same_ids_as_the_trainer_itself(lake: Lake, given_documents: Given, pattern: str) -> None:
    """rustbpe's own encoder and tiktoken agree on what the ranks mean."""
    import rustbpe

    given = texts(10)
    documents = given_documents(given, split=SplitConfig(val=0, test=0))
    loaded = Tokenizer.load(build(lake, documents, vocab_size=512, pattern=pattern).path)
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(given), 512 - 6, pattern=PATTERNS[pattern])
    for text in [*given, SAMPLE]:
        assert loaded.encode(text) == trainer.encode(text)


@pytest.mark.shared
@pytest.mark.parity
def test_same_merges_as_a_reference_but_for_ties(shared_data: Path) -> None:
    """cs336's reference vocabulary of the same text and pattern; where two pairs are as frequent, rules may differ."""
    import rustbpe

    folder = shared_data / "01_gpt2_bpe" / "stanford-cs336__assignment1-basics" / "tests" / "fixtures"
    pairs = [line.split(" ") for line in (folder / "train-bpe-reference-merges.txt").read_text().splitlines()]
    letters = _gpt2_letters()
    theirs = [bytes(letters[letter] for letter in left + right) for left, right in pairs]
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator([(folder / "corpus.en").read_text()], 256 + len(theirs), pattern=PATTERNS["gpt2"])
    ours = [
        bytes(token) for token, rank in sorted(trainer.get_mergeable_ranks(), key=lambda item: item[1]) if rank > 255
    ]
    assert ours[:31] == theirs[:31]
    assert len(set(ours) & set(theirs)) >= 0.98 * len(theirs)


def _gpt2_letters() -> dict[str, int]:
    """Return which byte each letter stands for in GPT-2's files: itself where printable, else one from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
