"""A corpus that changed costs dedup only what changed: signatures of all else come from the artifact before it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.dedup import DedupConfig, dedup
from tests.tasks.corpus.dedup.conftest import RowsConfig, rows_given

Given = Callable[..., Artifact]


def text(number: int) -> str:
    """One of four alike; some in no Latin script, some of two words, one empty."""
    dice = random.Random(number // 4)
    words = [f"w{dice.randrange(500)}" for _ in range(dice.choice([2, 60, 120]))]
    words[-1:] = [f"end{number}"] * (number % 4 > 1)
    return "" if number == 13 else " ".join(words) + "水车转动，河水流过老石屋" * (number % 7 == 0)


ROWS = [{"text": text(number), "url": f"http://example.org/{number}"} for number in range(60)]


def deduplicated(lake: Lake, documents: Artifact, config: DedupConfig | None = None, **options: Any) -> Artifact:
    return dedup.build(lake, config or DedupConfig(), {"documents": documents}, **options).artifact


def hashes(artifact: Artifact) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in artifact.files.items()}


@pytest.mark.parametrize("shards", [1, 3])
def test_only_what_changed_is_signed_and_the_bytes_are_the_same(
    lake: Lake, tmp_path: Path, given_rows: Given, shards: int
) -> None:
    assert deduplicated(lake, given_rows(ROWS, shards=2)).metrics["documents_reused"] == 0
    # two say something else, one is gone, two are new, one moved to another address
    after = [*ROWS[1:], {"text": "a new one", "url": "http://example.org/n"}, {"text": "another", "url": None}]
    after[3], after[5] = ({**row, "text": row["text"] + " and more"} for row in (after[3], after[5]))
    after[8] = {**after[8], "url": "http://example.org/moved"}
    changed = given_rows(after, shards=shards)
    made = deduplicated(lake, changed)
    assert made.metrics["documents_reused"] == len(ROWS) - 3
    other = Lake(tmp_path / "other")
    alone = deduplicated(other, changed)
    assert alone.metrics["documents_reused"] == 0
    assert hashes(alone) == hashes(made)
    assert alone.counts == made.counts
    assert alone.counts["near_duplicates"] > 5
    assert alone.manifest.ledger == made.manifest.ledger


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.integers(0, 30), max_size=25),
    after=st.lists(st.integers(0, 30), min_size=1, max_size=25),
    shards=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_whatever_changes_moves_or_goes(
    tmp_path_factory: pytest.TempPathFactory, before: list[int], after: list[int], shards: tuple[int, int]
) -> None:
    here, there = (Lake(tmp_path_factory.mktemp("lake") / "lake") for _ in range(2))
    config = DedupConfig(url=False, exact=False, workers=1)  # copies too are found again
    first, second = (
        rows_given.build(here, RowsConfig(rows=tuple(ROWS[i] for i in rows), shards=n), {}).artifact
        for rows, n in zip((before or [0], after), shards, strict=True)
    )
    deduplicated(here, first, config)
    if second.key != first.key:
        made = deduplicated(here, second, config)
        known = {text(number) for number in before or [0]}
        assert made.metrics["documents_reused"] == sum(text(number) in known for number in after)
        assert hashes(deduplicated(there, second, config)) == hashes(made)


def test_other_settings_and_a_forced_build_reuse_nothing(lake: Lake, given_rows: Given) -> None:
    before, after = given_rows(ROWS), given_rows(ROWS[1:])
    deduplicated(lake, before)
    assert deduplicated(lake, after, force=True).metrics["documents_reused"] == 0
    assert deduplicated(lake, after, DedupConfig(shingle_words=3)).metrics["documents_reused"] == 0
    no_sets = DedupConfig(store_shingles=False)
    deduplicated(lake, before, no_sets)
    assert deduplicated(lake, after, no_sets).metrics["documents_reused"] == 0


@pytest.mark.parametrize("name", ["signatures/part-00000.parquet", "shingles/part-00000.u32"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_damaged_artifact_is_not_reused(lake: Lake, given_rows: Given, name: str, missing: bool) -> None:
    path = deduplicated(lake, given_rows(ROWS)).path / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.unlink() if missing else path.write_bytes(raw)
    assert deduplicated(lake, given_rows(ROWS[1:])).metrics["documents_reused"] == 0


def test_a_killed_run_counts_what_its_attempts_took(
    lake: Lake, given_rows: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    deduplicated(lake, given_rows(ROWS, shards=2))
    after = given_rows([*ROWS[1:], {"text": "new"}], shards=3)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.corpus.dedup.stage._write", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            deduplicated(lake, after)
    assert deduplicated(lake, after).metrics["documents_reused"] == len(ROWS) - 1


def test_what_was_taken_over_can_be_compared_with(lake: Lake, given_rows: Given) -> None:
    deduplicated(lake, given_rows(ROWS[:30]))
    two = deduplicated(lake, given_rows(ROWS[5:40]))
    assert two.metrics["documents_reused"] == 25
    inputs = {"documents": given_rows(ROWS[10:30]), "against[0]": two}
    assert dedup.build(lake, DedupConfig(), inputs).artifact.counts["documents"] == 0
