"""A corpus that changed costs tokenize only what changed: all else is taken from the artifact before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_lake.reading.audit import lineage
from data_lake.store.lake import Artifact, Lake
from tasks.corpus.splits import SplitConfig
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tests.tasks.conftest import numbered

Given = Callable[..., Artifact]
SPLIT = SplitConfig(val=0.2, test=0.2)
TEXTS = [f"Document {i}: the mill turns {i * 7919 % 100} times. 水车转动 <|bos|>" * (i % 4 + 1) for i in range(40)]
CONFIG = TokenizeConfig(seq_len=16)


def learned(lake: Lake, documents: Artifact, **config: Any) -> Artifact:
    return tokenizer.build(lake, TokenizerConfig(vocab_size=384, **config), {"corpus": documents}).artifact


def tokens(lake: Lake, documents: Artifact, learned: Artifact, **options: Any) -> Artifact:
    return tokenize.build(lake, CONFIG, {"corpus": documents, "tokenizer": learned}, **options).artifact


def hashes(artifact: Artifact) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in artifact.files.items()}


@pytest.mark.parametrize("shards", [1, 3])
def test_only_what_changed_is_encoded_and_the_bytes_are_the_same(
    lake: Lake, tmp_path: Path, given_documents: Given, shards: int
) -> None:
    before = given_documents(TEXTS, shards=2, split=SPLIT)
    vocabulary = learned(lake, before)
    assert tokens(lake, before, vocabulary).metrics["documents_reused"] == 0
    # two say something else (one as long as before), one is gone, two are new
    after = [*TEXTS[:-1], "A new one.", "Another."]
    after[3], after[5] = TEXTS[3].replace("mill", "hill"), "Short."
    changed = given_documents(after, shards=shards, split=SPLIT)
    made = tokens(lake, changed, vocabulary)
    assert made.metrics["documents_reused"] == len(TEXTS) - 3
    alone = tokens(Lake(tmp_path / "other"), changed, vocabulary)
    assert alone.metrics["documents_reused"] == 0
    assert hashes(alone) == hashes(made)
    assert alone.counts == made.counts
    assert alone.manifest.ledger == made.manifest.ledger


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.dictionaries(st.integers(0, 20), st.sampled_from(TEXTS), min_size=8),
    edits=st.dictionaries(st.integers(0, 20), st.sampled_from([*TEXTS[:3], "x", "x" * 500, None])),
    shards=st.integers(1, 3),
    order=st.randoms(use_true_random=False),
)
def test_whatever_changes_moves_or_goes(
    tmp_path_factory: pytest.TempPathFactory, before: dict, edits: dict, shards: int, order: Any
) -> None:
    here, there = (Lake(tmp_path_factory.mktemp("lake") / "lake") for _ in range(2))
    after = {**before, **edits}
    rows = [(number, text) for number, text in after.items() if text is not None]
    order.shuffle(rows)
    first = numbered(here, list(before.items()), shards=2, split=SplitConfig(val=0.2, test=0))
    vocabulary = learned(here, first)
    earlier = tokens(here, first, vocabulary)
    second = numbered(here, rows, shards=shards, split=SplitConfig(val=0.1, test=0.1))
    if second.key != first.key:
        made = tokens(here, second, vocabulary)
        assert made.metrics["documents_reused"] == sum(before.get(number) == text for number, text in rows)
        assert hashes(tokens(there, second, vocabulary)) == hashes(made)
    assert earlier.counts["documents"] == len(before)


def test_another_tokenizer_reuses_nothing_and_neither_does_a_forced_build(lake: Lake, given_documents: Given) -> None:
    before, after = (given_documents(texts, split=SPLIT) for texts in (TEXTS, [*TEXTS, "A new mill, a new mill."]))
    vocabulary = learned(lake, before)
    tokens(lake, before, vocabulary)
    other = learned(lake, after, specials=("<|tool|>",))
    assert tokens(lake, after, other).metrics["documents_reused"] == 0
    assert tokens(lake, after, vocabulary, force=True).metrics["documents_reused"] == 0


@pytest.mark.parametrize("name", ["train/part-00000.parquet", "documents.parquet"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_damaged_artifact_is_not_reused(lake: Lake, given_documents: Given, name: str, missing: bool) -> None:
    before, after = (given_documents(texts, split=SPLIT) for texts in (TEXTS, TEXTS[1:]))
    vocabulary = learned(lake, before)
    path = tokens(lake, before, vocabulary).path / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.unlink() if missing else path.write_bytes(raw)
    assert tokens(lake, after, vocabulary).metrics["documents_reused"] == 0


def test_a_killed_run_counts_what_its_attempts_took(
    lake: Lake, given_documents: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = (given_documents(texts, shards=3, split=SPLIT) for texts in (TEXTS, [*TEXTS[:-1], "new"]))
    vocabulary = learned(lake, before)
    tokens(lake, before, vocabulary)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.corpus.tokenize.stage._merge_index", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            tokens(lake, after, vocabulary)
    assert tokens(lake, after, vocabulary).metrics["documents_reused"] == len(TEXTS) - 1


def test_a_kept_tokenizer_is_an_input_and_its_corpus_is_in_the_lineage(lake: Lake, given_documents: Given) -> None:
    before, after = (given_documents(texts, split=SPLIT) for texts in (TEXTS, ["Quite another text."] * 5))
    vocabulary = learned(lake, before)
    made = tokens(lake, after, vocabulary)
    found, lost = lineage(lake, [made])
    assert {artifact.name for artifact in found} == {before.name, after.name, vocabulary.name, made.name}
    assert lost == []
    assert learned(lake, after).content != vocabulary.content
