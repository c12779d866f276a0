"""The stage contract: keys, hits, damage, force, refresh, early cut-off, staging that survives.

Also covers: data_lake/store/lake.py
Also covers: tasks/stage/config.py
Also covers: tasks/stage/errors.py
Also covers: tasks/stage/output.py
Also covers: tasks/stage/provenance.py
Also covers: tasks/stage/roles.py
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.fingerprint import sha256_of
from data_lake.store.lake import Artifact, Lake, Miss
from tasks.stage import ContractError, Output, PermanentError, stage
from tasks.stage.config import StageConfig, execution, identity
from tests.toy import RUNS, NumbersConfig, SquaresConfig, TotalConfig, numbers, squares, total


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    RUNS.clear()
    return Lake(tmp_path / "lake")


def test_identity_and_execution_are_separate() -> None:
    config = NumbersConfig(count=3, workers=7, max_age=60)
    assert identity(config) == {"count": 3, "even_only": False}
    assert execution(config) == {"max_age": 60, "workers": 7}
    assert numbers.payload(config, {}) == numbers.payload(NumbersConfig(count=3), {})
    assert numbers.payload(config, {}) != numbers.payload(NumbersConfig(count=4), {})


def test_the_second_build_is_a_hit_and_the_manifest_tells_everything(lake: Lake) -> None:
    first = numbers.build(lake, NumbersConfig(), {})
    second = numbers.build(lake, NumbersConfig(workers=3), {})
    assert (first.status, second.status) == ("built", "cached")
    assert RUNS == ["numbers"]
    manifest = second.artifact.manifest
    assert manifest.key == sha256_of(manifest.payload)
    assert manifest.counts == {"numbers": 5}
    assert set(manifest.files) == {"numbers.json"}
    assert manifest.provenance["packages"]["numpy"]


def test_early_cut_off_a_rebuild_with_equal_output_rebuilds_nothing_after_it(lake: Lake) -> None:
    made = numbers.build(lake, NumbersConfig(count=1), {}).artifact
    squares.build(lake, SquaresConfig(), {"numbers": made})
    other = numbers.build(lake, NumbersConfig(count=1, even_only=True), {}).artifact  # another key, equal content
    assert other.key != made.key
    assert squares.build(lake, SquaresConfig(), {"numbers": other}).status == "cached"


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "manifest", "no manifest", "payload", "counts"])
def test_damage_is_found_at_the_next_use_rebuilt_and_named(lake: Lake, damage: str) -> None:
    artifact = numbers.build(lake, NumbersConfig(), {}).artifact
    path = artifact.path / "numbers.json"
    manifest = artifact.path / "manifest.json"
    if damage == "flip":
        status = path.stat()
        raw = bytearray(path.read_bytes())
        raw[3] ^= 1
        path.write_bytes(raw)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # size and mtime as before
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "delete":
        path.unlink()
    elif damage == "manifest":
        manifest.write_bytes(manifest.read_bytes()[:100])
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "counts":
        manifest.write_text(manifest.read_text().replace('"numbers": 5', '"numbers": 7'))
    else:
        manifest.write_text(manifest.read_text().replace('"count": 5', '"count": 6').replace('"count":5', '"count":6'))
    miss = numbers.find(lake, artifact.key)
    assert isinstance(miss, Miss)
    assert miss.kind == "damaged"
    again = numbers.build(lake, NumbersConfig(), {})
    assert again.status == "built"
    assert again.reason == miss.reason
    assert numbers.build(lake, NumbersConfig(), {}).status == "cached"
    assert again.artifact.content == artifact.content


def test_force_rebuilds_and_the_exchange_leaves_one_whole_artifact(lake: Lake) -> None:
    first = numbers.build(lake, NumbersConfig(), {}).artifact
    (lake.staging_path("numbers", first.key)).mkdir(parents=True)
    (lake.staging_path("numbers", first.key) / "leftover.txt").write_text("from an earlier life")
    forced = numbers.build(lake, NumbersConfig(), {}, force=True)
    assert forced.status == "built"
    assert forced.reason == "forced"
    assert set(forced.artifact.files) == {"numbers.json"}
    assert isinstance(numbers.find(lake, first.key, deep=True), Artifact)
    assert not lake.staging_path("numbers", first.key).exists()


def test_a_hit_that_is_too_old_is_refreshed_from_the_older_artifact(lake: Lake) -> None:
    numbers.build(lake, NumbersConfig(), {})
    time.sleep(0.02)
    refreshed = numbers.build(lake, NumbersConfig(max_age=0.01), {})
    assert refreshed.status == "built"
    assert "max_age" in refreshed.reason
    assert numbers.build(lake, NumbersConfig(max_age=3600), {}).status == "cached"


@pytest.mark.parametrize(
    ("hours", "reason"), [(24.0, "dated 86,"), (0.005, None), (-0.5, None), (-2.0, "max_age is 3,600 s")]
)
def test_an_artifact_of_a_clock_that_ran_ahead_is_refreshed(lake: Lake, hours: float, reason: str | None) -> None:
    artifact = numbers.build(lake, NumbersConfig(), {}).artifact
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
    dated = replace(artifact, manifest=artifact.manifest.model_copy(update={"finished_at": then}))
    why = numbers.too_old(NumbersConfig(max_age=3600), dated)
    assert (why is None) if reason is None else (why is not None and reason in why)
    assert numbers.too_old(NumbersConfig(), dated) is None


class GrowConfig(StageConfig):
    """No fields."""


@stage(makes=Artifact, version=1)
def fragile(config: GrowConfig, out: Output) -> None:
    """Fail once, after finishing a shard and leaving scratch behind."""
    shard = out.dir / "shard-0.txt"
    if not shard.exists():
        shard.write_text("done")
        (out.work / "scratch").write_text("kept across attempts")
        raise ConnectionError("the network went away")
    assert (out.work / "scratch").exists()
    (out.dir / "shard-1.txt").write_text("done")


def test_a_retry_finds_finished_shards_and_scratch_and_commits_only_the_shards(lake: Lake) -> None:
    with pytest.raises(ConnectionError):
        fragile.build(lake, GrowConfig(), {})
    artifact = fragile.build(lake, GrowConfig(), {}).artifact
    assert set(artifact.files) == {"shard-0.txt", "shard-1.txt"}


@stage(makes=Artifact, version=1, contract=lambda artifact: iter(["It is never right."]))
def unlawful(config: GrowConfig, out: Output) -> None:
    """Break its own contract, keeping its scratch."""
    (out.work / "checkpoint").write_text("hours of work")


def test_an_output_that_breaks_its_contract_is_not_committed_and_keeps_its_work(lake: Lake) -> None:
    with pytest.raises(ContractError, match=r"never right"):
        unlawful.build(lake, GrowConfig(), {})
    assert lake.artifacts() == []
    (staging,) = (lake.root / ".staging").iterdir()
    assert (staging / "_work" / "checkpoint").exists()


@stage(makes=Artifact, version=1)
def careless(config: GrowConfig, out: Output) -> None:
    """Lose a document."""
    out.ledger(Ledger(Amount(3, 30), Amount(2, 20)))


def test_a_ledger_that_does_not_add_up_is_a_broken_contract(lake: Lake) -> None:
    with pytest.raises(PermanentError, match="does not add up"):
        careless.build(lake, GrowConfig(), {})


@stage(makes=Artifact, version=1)
def gathered(config: GrowConfig, out: Output) -> None:
    """Keep three documents."""
    out.ledger(Ledger(Amount(3, 30), Amount(3, 30)))


@stage(makes=Artifact, version=1)
def sifted(config: GrowConfig, out: Output, gathered: Artifact) -> None:
    """Forget one of the documents that came in; what it knows of adds up."""
    out.ledger(Ledger(Amount(2, 20), Amount(2, 20)))


def test_a_document_lost_between_two_stages_is_a_broken_contract(lake: Lake) -> None:
    made = gathered.build(lake, GrowConfig(), {}).artifact
    with pytest.raises(ContractError, match=r"kept 3 documents, but 2 came into sifted/"):
        sifted.build(lake, GrowConfig(), {"gathered": made})
    assert lake.artifacts("sifted") == []


def _build_slowly(root: str, marks: str) -> None:
    @stage(makes=Artifact, version=1)
    def slow(config: GrowConfig, out: Output) -> None:
        with open(marks, "a") as file:
            file.write("built\n")
        time.sleep(0.5)
        (out.dir / "x").write_text("x")

    slow.build(Lake(root), GrowConfig(), {})


def test_two_processes_build_a_key_once(tmp_path: Path) -> None:
    # not fork: what other tests of this process have imported (Prefect) does not survive it
    context = multiprocessing.get_context("spawn")
    marks = tmp_path / "marks"
    workers = [context.Process(target=_build_slowly, args=(str(tmp_path / "lake"), str(marks))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
        assert worker.exitcode == 0
    assert marks.read_text() == "built\n"


def test_the_lock_of_a_killed_builder_is_free_at_once(tmp_path: Path) -> None:
    # not fork: what other tests of this process have imported (Prefect) does not survive it
    context = multiprocessing.get_context("spawn")
    marks = tmp_path / "marks"
    first = context.Process(target=_build_slowly, args=(str(tmp_path / "lake"), str(marks)))
    first.start()
    while not marks.exists():
        time.sleep(0.01)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    started = time.monotonic()
    _build_slowly(str(tmp_path / "lake"), str(marks))
    assert marks.read_text() == "built\nbuilt\n"
    assert time.monotonic() - started < 30


def test_a_lost_artifact_leaves_its_content_known(lake: Lake) -> None:
    artifact = numbers.build(lake, NumbersConfig(), {}).artifact
    shutil.rmtree(artifact.path)
    assert lake.remembered_content("numbers", artifact.key) == artifact.content
    with pytest.raises(FileNotFoundError, match="does not have its numbers any more"):
        squares.build(lake, SquaresConfig(), {}, contents={"numbers": artifact.content})


def test_unknown_metrics_stay_null(lake: Lake) -> None:
    made = numbers.build(lake, NumbersConfig(), {}).artifact
    squared = squares.build(lake, SquaresConfig(), {"numbers": made}).artifact
    artifact = total.build(lake, TotalConfig(), {"squares": squared}).artifact
    assert artifact.metrics == {"total": 30, "unknown": None}
    assert json.loads((artifact.path / "manifest.json").read_text())["metrics"]["unknown"] is None
