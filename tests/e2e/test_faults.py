"""Faults, by doing them: kill -9 at random moments, damaged files, a full disk, a read-only lake."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_lake.store.home import Home
from tests.e2e.program import TINY, newest, plan, start, statuses, textmill
from tests.live_up import eventually, stopped

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
SEED = 20
STAGES = [
    "crawl",
    "clean",
    "dedup",
    "decontaminate",
    "tokenizer",
    "tokenize",
    "pretrain",
    "sft",
    "questions",
    "evaluate",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the tiny pipeline ran through, undisturbed."""
    home = tmp_path_factory.mktemp("finished")
    textmill(home, "run", str(TINY))
    assert set(statuses(home, str(TINY)).values()) == {"hit"}
    return home


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of that home, to be damaged."""
    home = tmp_path / "copy"
    shutil.copytree(finished, home, ignore=shutil.ignore_patterns("run"))
    return home


def weights(home: Path, stage: str) -> str:
    return hashlib.sha256((newest(home, stage) / "model.safetensors").read_bytes()).hexdigest()


def test_killed_at_random_moments_it_ends_with_the_same_weights(finished: Path, tmp_path: Path) -> None:
    """Kill the run again and again; what was committed stays committed, and the result is bit for bit the same."""
    home = tmp_path / "killed"
    dice = random.Random(SEED)
    committed: dict[str, int] = {}
    kills = 0
    for _ in range(40):
        process = start(home, "run", str(TINY))
        try:
            process.communicate(timeout=dice.uniform(3, 9))
        except subprocess.TimeoutExpired:
            stop(process)
            kills += 1
        for stage in STAGES:
            for manifest in (home / "lake" / stage).glob("*/manifest.json"):
                written, name = manifest.stat().st_mtime_ns, f"{stage}/{manifest.parent.name}"
                assert committed.setdefault(name, written) == written, f"{name} was built twice"
        if process.returncode == 0:
            break
    assert process.returncode == 0
    assert kills >= 3
    assert {name.partition("/")[0] for name in committed} == set(STAGES)
    assert len(committed) == len(STAGES) + 1, "each stage has one artifact, and evaluate one for each model"
    for stage in ("pretrain", "sft"):
        assert weights(home, stage) == weights(finished, stage)


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_killed_at_work_goes_on_where_it_was(copy: Path, stage: str) -> None:
    """Kill the run twice while this stage works; what it had finished stays, and the artifact comes out the same."""
    dice = random.Random(stage)
    whole = newest(copy, stage)
    before = json.loads((whole / "manifest.json").read_text())
    staging = copy / "lake" / ".staging" / f"{stage}-{whole.name}"
    shutil.rmtree(whole)
    kills, reach = 0, 1.0
    shards: dict[str, int] = {}
    while kills < 2:
        process = start(copy, "run", str(TINY), "--until", stage)
        eventually(staging.exists, 120, f"{stage} has begun")
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=reach * dice.uniform(0, before["seconds"]))
        stop(process)
        if whole.exists():  # the kill came too late: it must hit this stage, so again and earlier
            shutil.rmtree(whole)
            shards, reach = {}, reach / 2
            continue
        assert shards.items() <= shards_in(staging).items(), "what was finished before was made again"
        shards = shards_in(staging)
        kills += 1
    textmill(copy, "run", str(TINY), "--until", stage)
    after = json.loads((whole / "manifest.json").read_text())
    assert after["content"] == before["content"]
    assert shards.items() <= shards_in(whole).items(), "what was finished before the kill was made again"
    if stage in ("pretrain", "sft"):
        assert after["files"]["model.safetensors"] == before["files"]["model.safetensors"]


def stop(process: subprocess.Popen[str]) -> None:
    """Kill a run and all that it started, as a power cut would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def shards_in(folder: Path) -> dict[str, int]:
    """{relative path: inode} of the finished shards of a staging folder or artifact; one made again has another."""
    found = {
        path.relative_to(folder).as_posix(): path.stat().st_ino
        for pattern in ("part-*.parquet", "*.warc.gz")
        for path in folder.rglob(pattern)
    }
    # the shard of a tokenize is three files, of which the index, written last, says that they are whole
    begun = {name for name in found if name.startswith(("train/", "val/", "test/"))}
    if (folder / "_work").exists():
        begun = {name for name in begun if f"_work/index/{Path(name).name}" not in found}
    else:
        begun = set()
    return {name: inode for name, inode in found.items() if name not in begun and "_work" not in Path(name).parts}


@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_artifact_is_found_named_rebuilt_and_equal(copy: Path, stage: str) -> None:
    dice = random.Random(stage)
    folder = newest(copy, stage)
    path = dice.choice(sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > 100))
    name = path.relative_to(folder).as_posix()
    before = (folder / "manifest.json").read_text()
    damage = dice.choice(["flip", "truncate", "delete"])
    if damage == "flip":
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 0x10
        path.write_bytes(raw)
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    row = plan(copy, str(TINY))[stage]
    assert row["status"] == "run"
    assert name in row["reasons"][0] or name == "manifest.json"
    result = textmill(copy, "run", str(TINY))
    assert f"{stage}" in result.stderr
    assert set(statuses(copy, str(TINY)).values()) == {"hit"}
    assert "cached" in result.stderr
    after = (newest(copy, stage) / "manifest.json").read_text()
    assert after != before


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False)
    if made.returncode != 0:
        pytest.skip("Mounting a small file system needs root.")
    try:
        yield folder
    finally:
        for _ in range(40):  # the embedded server ends some seconds after its last client
            if subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode == 0:
                break
            time.sleep(0.5)


@pytest.mark.parametrize("left_kilobytes", [0, 200, 800])
def test_a_full_disk_is_a_sentence_and_the_run_resumes(tmp_path: Path, left_kilobytes: int) -> None:
    """The disk fills up before the run, under the server, and in the middle of a stage."""
    with mounted(tmp_path / "small", "100m") as home:
        textmill(home, "run", str(TINY), "--until", "crawl")
        eventually(lambda: stopped(Home(home)), 60, "the embedded server has ended and freed its journal")
        ballast = home / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(home).free - 1024 * left_kilobytes))
        result = textmill(home, "run", str(TINY), "--until", "tokenize", code=1)
        assert "is full" in result.stderr
        ballast.unlink()
        result = textmill(home, "run", str(TINY), "--until", "tokenize")
        assert re.search("crawl +cached", result.stderr)


def test_a_read_only_lake_is_a_sentence_and_the_run_resumes(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "400m") as home:
        textmill(home, "run", str(TINY), "--until", "clean")
        for _ in range(40):
            if (
                subprocess.run(["mount", "-o", "remount,ro", str(home)], check=False, capture_output=True).returncode
                == 0
            ):
                break
            time.sleep(0.5)
        result = textmill(home, "run", str(TINY), "--until", "dedup", code=1)
        assert "read-only" in result.stderr
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
        textmill(home, "run", str(TINY), "--until", "dedup")
