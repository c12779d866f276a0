"""A corpus that changed: a text that is here again is asked for what it was not asked before, and for nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.contamination.index import NgramIndex, Words
from tasks.corpus.decontaminate import DecontaminateConfig, decontaminate
from tasks.corpus.splits import SplitConfig
from tests.tasks.conftest import numbered

Given = Callable[..., Artifact]
ITEM = "The miller of the old stone house opened the sluice gate before dawn and went back to sleep until noon."
SHORT = "Which of these turns a water wheel"


def text(number: int) -> str:
    """Prose of sentences that several documents share, some with an item of the benchmark."""
    dice = random.Random(number)
    sentences = [" ".join(f"w{random.Random(k).randrange(10**6)}x{j}" for j in range(16)) for k in range(12)]
    chosen = [sentences[dice.randrange(12)] for _ in range(dice.randrange(1, 8))]
    return " ".join([*chosen, f"own{number}", *([ITEM] * (number % 7 == 1)), *([SHORT] * (number % 5 == 2))])


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("benchmark") / "riddles.jsonl"
    path.write_text("\n".join(json.dumps({"question": item}) for item in (ITEM, SHORT)))
    return str(path)


def build(lake: Lake, documents: Artifact, items: str, **options: Any) -> Artifact:
    config = DecontaminateConfig(benchmarks=(items,), split=SplitConfig(val=0.2, test=0.1), workers=1)
    return decontaminate.build(lake, config, {"documents": documents}, **options).artifact


def hashes(artifact: Artifact) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in artifact.files.items()}


def corpus(lake: Lake, rows: list[tuple[int, str]], shards: int) -> Artifact:
    return numbered(lake, rows, shards, SplitConfig())


@pytest.mark.parametrize("shards", [1, 3])
def test_only_what_changed_is_scanned_and_the_bytes_are_the_same(
    lake: Lake, tmp_path: Path, items: str, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(number, text(number)) for number in range(60)]
    first = build(lake, corpus(lake, rows, 2), items)
    assert first.metrics["documents_reused"] == 0
    # two say something else, one is gone, two are new
    changed = [*rows[1:], (60, text(60)), (61, text(61))]
    changed[3], changed[5] = (4, text(4) + f" and {ITEM}"), (6, text(600))
    after = corpus(lake, changed, shards)
    searched: list[int] = []
    find = NgramIndex.find
    with monkeypatch.context() as patch:
        patch.setattr(
            NgramIndex, "find", lambda self, given: searched.append(len(given.offsets) - 1) or find(self, given)
        )
        made = build(lake, after, items)
    assert sum(searched) == 4, "benchmark items are looked for in what is new"
    assert made.metrics["documents_reused"] == len(rows) - 3
    alone = build(Lake(tmp_path / "other"), after, items)
    assert alone.metrics["documents_reused"] == 0
    assert hashes(alone) == hashes(made)
    assert alone.counts == made.counts
    assert alone.counts["contaminated_items"] == 2
    assert alone.counts["overlapping_documents"] > 0
    assert alone.manifest.ledger == made.manifest.ledger


def test_where_nothing_new_is_held_out_known_texts_are_not_read(
    lake: Lake, items: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(number, text(number)) for number in range(60)]
    before = corpus(lake, rows, 1)
    held_out = build(lake, before, items).counts["held_out_documents"]
    hashed: list[int] = []
    of_column = Words.of_column.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        Words, "of_column", classmethod(lambda cls, texts: (hashed.append(len(texts)), of_column(cls, texts))[1])
    )
    made = build(lake, corpus(lake, rows[:-1], 1), items)
    assert made.metrics["documents_reused"] == 59
    assert sum(hashed) == made.counts["held_out_documents"] <= held_out


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.dictionaries(st.integers(0, 40), st.integers(0, 40), min_size=10, max_size=40),
    edits=st.dictionaries(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 40)), max_size=12),
    shards=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    order=st.randoms(use_true_random=False),
)
def test_whatever_changes_moves_or_goes(
    tmp_path_factory: pytest.TempPathFactory,
    items: str,
    before: dict[int, int],
    edits: dict[int, int | None],
    shards: tuple[int, int],
    order: random.Random,
) -> None:
    here, there = (Lake(tmp_path_factory.mktemp("lake") / "lake") for _ in range(2))
    edits = {41: 41, 42: 42, **edits}  # something is left to train on
    after = [(number, text(said)) for number, said in {**before, **edits}.items() if said is not None]
    order.shuffle(after)
    first = corpus(here, [(number, text(said)) for number, said in before.items()], shards[0])
    second = corpus(here, after, shards[1])
    build(here, first, items)
    made = build(here, second, items)
    assert hashes(build(there, second, items)) == hashes(made)


def test_another_benchmark_and_a_forced_build_reuse_nothing(lake: Lake, items: str, tmp_path: Path) -> None:
    rows = [(number, text(number)) for number in range(20)]
    build(lake, corpus(lake, rows, 1), items)
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"question": ITEM}))
    after = corpus(lake, rows[1:], 1)
    assert build(lake, after, str(other)).metrics["documents_reused"] == 0
    assert build(lake, after, items, force=True).metrics["documents_reused"] == 0


def test_a_document_that_is_learned_from_since_is_scanned(lake: Lake, items: str) -> None:
    """The text that was held out under one address was not asked for held-out n-grams; under another it is."""
    split = [build_split(number) for number in range(60)]
    held, train = split.index("val"), [number for number, name in enumerate(split) if name == "train"]
    rows = [(number, text(number)) for number in train[:20]]
    build(lake, corpus(lake, [*rows, (held, text(777))], 1), items)
    made = build(lake, corpus(lake, [*rows, (train[20], text(777))], 1), items)
    assert made.metrics["documents_reused"] == 20


def build_split(number: int) -> str:
    from data_lake.tables.documents import doc_id, split_of

    return split_of(doc_id(url=f"http://example.org/{number}"), 0.2, 0.1)


@pytest.mark.parametrize("name", ["scan/texts/part-00000.parquet", "scan/seen/part-00000.parquet", "scan/held_out.npy"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_damaged_artifact_is_not_reused(lake: Lake, items: str, name: str, missing: bool) -> None:
    rows = [(number, text(number)) for number in range(20)]
    path = build(lake, corpus(lake, rows, 1), items).path / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.unlink() if missing else path.write_bytes(raw)
    assert build(lake, corpus(lake, rows[1:], 1), items).metrics["documents_reused"] == 0


def test_a_killed_run_counts_what_its_attempts_took(lake: Lake, items: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(number, text(number)) for number in range(40)]
    build(lake, corpus(lake, rows, 2), items)
    after = corpus(lake, [*rows[1:], (40, "new")], 3)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.corpus.decontaminate.stage.judge", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            build(lake, after, items)
    assert build(lake, after, items).metrics["documents_reused"] == len(rows) - 1
