"""training/pretrain/reading.py: batches follow from the data, seed and step alone, and every token is accounted for."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.reading.audit import audit_of
from data_lake.store.lake import Artifact, Lake
from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.shards import COLUMN, METADATA_KEY
from model.batches import Batch
from model.losses import IGNORE
from model.tokenizer import MASK, Tokenizer
from tasks.corpus.splits import SplitConfig
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.pretrain.preflight import check
from tasks.training.pretrain.reading import Reading
from tests.tasks.pydoc_corpus import PRETRAIN, PagesConfig, build_corpus, make
from tests.tasks.training.pretrain.test_stage import Interrupted

MIX = {"sources": [{"name": "few", "match": ["*/mod?.html"], "weight": 1}, {"name": "more", "weight": 3}]}
ENCODER = {"model": {**PRETRAIN["model"], "network": "encoder"}}
KINDS = {
    "joined": {},
    "separate": {"documents": "separate"},
    "joined, mixed": {"mix": MIX},
    "separate, mixed": {"documents": "separate", "mix": MIX},
    "joined, hidden": ENCODER,
    "separate, hidden": {**ENCODER, "documents": "separate"},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    built["tokenizer"] = make(tokenizer, lake, TokenizerConfig(vocab_size=512, specials=(MASK,)), built).artifact
    built["tokenize"] = make(tokenize, lake, TokenizeConfig(seq_len=64), built).artifact
    return lake, built


def config(**changes: Any) -> PretrainConfig:
    return PretrainConfig.model_validate({**PRETRAIN, **changes})


def opened(corpus: tuple[Lake, dict[str, Artifact]], **changes: Any) -> Reading:
    return Reading(config(**changes), corpus[1]["tokenize"], Tokenizer.load(corpus[1]["tokenizer"].path))


COLUMNS = ("inputs", "targets", "documents")


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches hold the same rows."""
    mine, theirs = ([getattr(batch, name) for name in COLUMNS] for batch in (one, other))
    return all(a is b is None or torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def joined(parts: list[Batch]) -> Batch:
    """Batches one below the other."""
    columns = {name: [getattr(part, name) for part in parts] for name in COLUMNS}
    return Batch(**{name: None if column[0] is None else torch.cat(column) for name, column in columns.items()})


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_and_micro_batches_together_are_the_batch_of_one_process(
    corpus: tuple[Lake, dict[str, Artifact]], kind: str
) -> None:
    one, other = opened(corpus, **KINDS[kind]), opened(corpus, **KINDS[kind])

    @settings(max_examples=12)
    @given(step=st.integers(0, 19), world_size=st.integers(1, 4), rows=st.integers(0, 5))
    def check_step(step: int, world_size: int, rows: int) -> None:
        whole = one.batch(step)
        shared = [other.batch(step, rank, world_size) for rank in range(world_size)]
        assert same(joined(shared), whole)
        assert same(joined([micro for part in shared for micro in part.split(rows)]), whole)

    check_step()
    assert not same(one.batch(0), one.batch(1))
    assert not same(one.batch(0), opened(corpus, **KINDS[kind], training={**PRETRAIN["training"], "seed": 1}).batch(0))


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_is_accounted_for(corpus: tuple[Lake, dict[str, Artifact]], kind: str) -> None:
    built = corpus[1]
    held_out = sum(built["tokenize"].counts[f"{split}_tokens"] for split in ("val", "test"))
    for steps in (3, 60):
        changes = {**KINDS[kind], "training": {**PRETRAIN["training"], "steps": steps}}
        reading = opened(corpus, **changes)
        batches = [reading.batch(step) for step in range(steps)]
        assert reading.tokens_read == sum(batch.n_tokens for batch in batches)
        if "hidden" not in kind:
            assert reading.tokens_read == sum(batch.n_valid for batch in batches), "each token has a target"
        ledger = reading.ledger()
        assert list(ledger.problems()) == []
        assert ledger.incoming.tokens == built["tokenize"].counts["tokens"]
        assert ledger.removed["held_out"].tokens == held_out
        assert ledger.kept.tokens <= reading.tokens_read
        if steps == 60:
            assert ledger.removed["not_reached"].tokens == 0
        if "separate" in kind:
            assert ledger.removed["after_last_window"].tokens == 0
            if steps == 60:
                assert ledger.kept.tokens == built["tokenize"].counts["train_tokens"], "down to the last token"


def test_an_epoch_of_packed_documents_has_each_token_once_and_no_document_predicts_another(
    corpus: tuple[Lake, dict[str, Artifact]],
) -> None:
    """The pages have 200 to 300 tokens and a row 128, so each is longer than any window."""
    reading, built = opened(corpus, documents="separate"), corpus[1]
    loaded = Tokenizer.load(built["tokenizer"].path)
    index = pq.read_table(built["tokenize"].path / "documents.parquet").to_pylist()
    lengths = [row["n_tokens"] for row in index if row["split"] == "train"]
    assert min(lengths) > 128
    whole = Batch.of_packed(reading.train.batch(range(len(reading.train))))
    assert whole.documents is not None
    real = whole.documents >= 0
    stream = TokenDataset(built["tokenize"].path, "train")
    read = whole.inputs[real]
    assert sorted(read.tolist()) == sorted(stream.tokens(0, stream.n_tokens).tolist())
    assert (whole.targets[real] == loaded.eos).sum() == len(lengths)
    assert (whole.targets == loaded.bos).sum() == 0
    assert (whole.targets[~real] == IGNORE).all()
    assert (whole.inputs[~real] == loaded.pad).all()


def test_packed_training_resumes_exactly_and_its_ledger_follows_the_tokens(
    corpus: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    lake, built = corpus
    packed = config(documents="separate")
    artifact = make(pretrain, lake, packed, built).artifact
    given = {"tokens": built["tokenize"], "tokenizer": built["tokenizer"]}
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space left"):
        pretrain(packed, Interrupted(tmp_path / "cut"), **given)
    pretrain(packed, local_output(tmp_path / "cut"), **given)
    for name in ("model.safetensors", "samples.jsonl"):
        assert (artifact.path / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    assert artifact.metrics["validation_loss"] < 6.2
    assert artifact.counts["tokens_read"] + artifact.counts["padding"] == 20 * 4 * 128
    assert artifact.counts["tokens_read"] == artifact.counts["tokens"]
    audit = audit_of([built["decontaminate"], built["tokenize"], artifact])
    assert audit.problems == []
    assert [stage.follows for stage in audit.stages] == [None, "decontaminate", "tokenize"]
    prompts = [json.loads(line)["prompt"] for line in (artifact.path / "samples.jsonl").read_text().splitlines()]
    assert len(prompts) == 2


def test_a_mixed_packed_training_counts_what_it_read(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = corpus
    artifact = make(pretrain, lake, config(documents="separate", mix=MIX), built).artifact
    rows = json.loads((artifact.path / "mix.json").read_text())
    assert sum(row["tokens"] for row in rows) == artifact.counts["tokens_read"] == artifact.counts["tokens"]
    assert pretrain.violations(artifact) == []
    assert pretrain.preview is not None
    planned = pretrain.preview(config(documents="separate", mix=MIX), {"tokens": built["tokenize"]})
    assert [(row["name"], row["windows"]) for row in planned] != []
    assert sum(row["draws"] for row in planned) == 80


def test_how_documents_are_read_is_part_of_the_identity(corpus: tuple[Lake, dict[str, Artifact]]) -> None:
    contents = {name: artifact.content for name, artifact in corpus[1].items()}
    plain, packed = (pretrain.payload(config(**kind), contents) for kind in ({}, {"documents": "separate"}))
    assert plain["config"]["documents"] == "joined"
    assert plain != packed


# -- bad input ---------------------------------------------------------------------------------------------------------


def copied(artifact: Artifact, folder: Path) -> Artifact:
    """An artifact that a test may damage."""
    shutil.copytree(artifact.path, folder)
    return replace(artifact, path=folder)


@pytest.mark.parametrize("documents", ["joined", "separate"])
def test_damaged_tokens_are_refused_before_a_step(
    corpus: tuple[Lake, dict[str, Artifact]], documents: str, tmp_path: Path
) -> None:
    _, built = corpus
    numbers = itertools.count()

    def refused(damage: Any) -> str:
        tokens = copied(built["tokenize"], tmp_path / f"tokens{next(numbers)}")
        damage(tokens.path / "train" / "part-00000.parquet")
        with pytest.raises(PermanentError) as said:
            pretrain(
                config(documents=documents), local_output(tmp_path / f"out{next(numbers)}"), tokens=tokens,
                tokenizer=built["tokenizer"],
            )  # fmt: skip
        return str(said.value)

    assert "is not a readable token shard" in refused(lambda path: path.write_bytes(path.read_bytes()[:-100]))
    assert "is not a readable token shard" in refused(lambda path: path.write_bytes(b""))
    assert "holds no token shards" in refused(lambda path: path.unlink())
    assert "Run the tokenize stage again" in refused(beyond_the_vocabulary)


def beyond_the_vocabulary(path: Path) -> None:
    """Put an id into the middle of a shard that no embedding exists for, without touching what the file says."""
    described = pq.read_metadata(path).metadata[METADATA_KEY]
    table = pq.read_table(path)
    rows = [bytes(row) for row in table[COLUMN].to_pylist()]
    rows[len(rows) // 2] = np.full(64, 60_000, np.uint16).tobytes()
    made = table.schema.empty_table().from_pydict({COLUMN: rows}, schema=table.schema)
    pq.write_table(made.replace_schema_metadata({METADATA_KEY: described}), path)


@pytest.mark.parametrize(
    ("pages", "documents", "message"),
    [
        ({"count": 1, "split": SplitConfig(val=0.0, test=0.0)}, "joined", "The val split has no documents; raise"),
        ({"count": 1, "split": SplitConfig(val=0.0, test=0.0)}, "separate", "The val split has no documents; raise"),
        ({"count": 3, "split": SplitConfig(val=0.9, test=0.0)}, "joined", None),
    ],
)
def test_too_little_text_is_said_by_the_plan(
    tmp_path: Path, pages: dict[str, Any], documents: str, message: str | None
) -> None:
    lake, built = build_corpus(tmp_path / "lake", PagesConfig(**pages))
    wide = {**PRETRAIN["model"], "max_seq_len": 4096} if message is None else PRETRAIN["model"]
    asked = config(documents=documents, model=wide)
    faults = list(check(asked, Facts({}, lake, {"tokens": built["tokenize"]})))
    expected = message or "less than one window of 4,096 + 1"
    assert any(expected in fault.reason for fault in faults)
    with pytest.raises(PermanentError, match=expected.replace("+", r"\+")):
        pretrain(asked, local_output(tmp_path / "out"), tokens=built["tokenize"], tokenizer=built["tokenizer"])
    if message is None:  # packed rows are padded, so a few short documents are enough
        separate = config(documents="separate", model=wide, training={**PRETRAIN["training"], "steps": 1})
        assert not list(check(separate, Facts({}, lake, {"tokens": built["tokenize"]})))
