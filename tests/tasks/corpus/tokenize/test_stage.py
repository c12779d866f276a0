"""The tokenize stage: every document once, in its split, in the same bytes however the work was divided.

Also covers: tasks/corpus/tokenize/encode.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import doc_id, split_of
from data_lake.tokens.loader import TokenDataset
from model.tokenizer import Tokenizer
from tasks.corpus.splits import SplitConfig
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import ContractError, Output, local_output
from tests.model.vocabulary.small_models import sentencepiece_model

Given = Callable[..., Artifact]
SPLIT = SplitConfig(val=0.2, test=0.2)
TEXTS = [
    *(
        f"Document {i}: the mill turns {i * 7919 % 100} times, then it rests. <|bos|><|eos|>" * (i % 5 + 1)
        for i in range(60)
    ),
    "水车转动，河水流过老石屋。" * 3,
    "กังหันน้ำหมุนและแม่น้ำไหล" * 3,
    "x",
]


@pytest.fixture
def learned(lake: Lake, given_documents: Given) -> Artifact:
    corpus = given_documents(TEXTS, split=SPLIT)
    return tokenizer.build(lake, TokenizerConfig(vocab_size=384), {"corpus": corpus}).artifact


def build(lake: Lake, documents: Artifact, learned: Artifact, **config: object) -> Artifact:
    return tokenize.build(
        lake, TokenizeConfig(**{"seq_len": 32, **config}), {"corpus": documents, "tokenizer": learned}
    ).artifact


def test_every_document_is_found_again(lake: Lake, given_documents: Given, learned: Artifact) -> None:
    made = build(lake, given_documents(TEXTS, shards=4, split=SPLIT), learned)
    loaded = Tokenizer.load(learned.path)
    index = pq.read_table(made.path / "documents.parquet").to_pylist()
    streams = {split: TokenDataset(made.path, split) for split in ("train", "val", "test")}
    assert [row["doc_id"] for row in index] == [doc_id(url=f"http://example.org/{i}") for i in range(len(TEXTS))]
    for row, text in zip(index, TEXTS, strict=True):
        tokens = streams[row["split"]].tokens(row["first_token"], row["first_token"] + row["n_tokens"])
        assert tokens[0] == loaded.bos
        assert loaded.bos not in tokens[1:]
        assert loaded.decode(tokens[1:].tolist()) == text
        assert row["split"] == split_of(row["doc_id"], SPLIT.val, SPLIT.test)
        assert row["n_bytes"] == len(text.encode())
    assert sum(row["n_tokens"] for row in index) == sum(stream.n_tokens for stream in streams.values())
    assert {stream.tokenizer_sha256 for stream in streams.values()} == {loaded.sha256}
    assert made.counts["documents"] == len(TEXTS)
    assert tokenize.violations(made) == []


@pytest.mark.parametrize("kind", ["unigram", "imported"])
def test_documents_are_found_again_in_every_kind_of_vocabulary(
    lake: Lake, given_documents: Given, tmp_path: Path, kind: str
) -> None:
    documents = given_documents(TEXTS[-20:], split=SPLIT)
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model("bpe", normalization_rule_name="identity"))
    settings = {"files": str(tmp_path)} if kind == "imported" else {"algorithm": "unigram", "vocab_size": 512}
    learned = tokenizer.build(lake, TokenizerConfig(**settings), {"corpus": documents}).artifact
    loaded = Tokenizer.load(learned.path)
    made = build(lake, documents, learned)
    assert tokenize.violations(made) == []
    for row, text in zip(pq.read_table(made.path / "documents.parquet").to_pylist(), TEXTS[-20:], strict=True):
        tokens = TokenDataset(made.path, row["split"]).tokens(row["first_token"], row["first_token"] + row["n_tokens"])
        assert tokens[0] == loaded.bos
        assert loaded.decode(tokens[1:].tolist()) == text


def test_a_documents_split_stays_when_documents_are_added(
    lake: Lake, given_documents: Given, learned: Artifact
) -> None:
    few, many = (build(lake, given_documents(texts, split=SPLIT), learned) for texts in (TEXTS[:20], TEXTS))
    splits = [
        {row["doc_id"]: row["split"] for row in pq.read_table(made.path / "documents.parquet").to_pylist()}
        for made in (few, many)
    ]
    assert len(splits[0]) == 20
    assert splits[0].items() <= splits[1].items()


def test_the_ledger_accounts_for_every_token(lake: Lake, given_documents: Given, learned: Artifact) -> None:
    made = build(lake, given_documents(TEXTS, shards=3, split=SPLIT), learned)
    ledger = made.manifest.ledger
    assert ledger is not None
    assert ledger["incoming"] == {
        "documents": len(TEXTS),
        "bytes": sum(len(text.encode()) for text in TEXTS),
        "tokens": made.counts["tokens"],
    }
    assert ledger["kept"] == ledger["incoming"]  # which tokens are in no window, the training says
    assert sum(made.counts[f"{split}_tokens"] for split in ("train", "val", "test")) == made.counts["tokens"]


def test_same_bytes_whatever_the_workers_and_done_shards_stay(
    given_documents: Given, learned: Artifact, tmp_path: Path
) -> None:
    documents = given_documents(TEXTS, shards=3, split=SPLIT)
    one, two = local_output(tmp_path / "one"), local_output(tmp_path / "two")
    for out, workers in ((one, 1), (two, 2)):
        tokenize(TokenizeConfig(seq_len=32, workers=workers), out, corpus=documents, tokenizer=learned)
    assert contents(one) == contents(two)

    done = two.dir / "train" / "part-00000.parquet"
    before = done.stat().st_mtime_ns
    (two.work / "index" / "part-00001.parquet").unlink()  # as if killed before shard 1 was done
    (two.dir / "val" / "part-00001.parquet").write_bytes(b"half a fi")
    tokenize(TokenizeConfig(seq_len=32), two, corpus=documents, tokenizer=learned)
    assert contents(one) == contents(two)
    assert done.stat().st_mtime_ns == before


def contents(out: Output) -> dict[str, bytes]:
    files = (path for path in out.dir.rglob("*") if path.is_file() and out.work not in path.parents)
    return {path.relative_to(out.dir).as_posix(): path.read_bytes() for path in files}


def test_a_lost_shard_breaks_the_contract(lake: Lake, given_documents: Given, learned: Artifact) -> None:
    made = build(lake, given_documents(TEXTS, shards=2, split=SPLIT), learned)
    (made.path / "train" / "part-00001.parquet").unlink()
    problems = tokenize.violations(made)
    assert any("train/ has" in problem for problem in problems)
    assert any("begin in the token shards" in problem for problem in problems)


def test_nothing_to_train_on_breaks_the_contract(lake: Lake, given_documents: Given, learned: Artifact) -> None:
    with pytest.raises(ContractError, match="no token to train on"):
        build(lake, given_documents([]), learned)
