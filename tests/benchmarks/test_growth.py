"""Ten times the documents: processor time per document and memory of the data side may not grow with the corpus.

Generated documents go from files through crawl, clean and dedup, each stage in a process of its own with one worker.
What that process takes for 100 documents, which is imports, is taken off; clean starts a process for each shard, which
counts, as there are ten times as many shards. The small runs are repeated, and the quickest counts. Memory is the
resident memory of the process and its children together, looked at twenty times a second; twice counted is what they
share.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.benchmarks.board import record
from tests.benchmarks.growth_run import CONFIGS, generate

ROOT = Path(__file__).resolve().parents[2]
BASE = 100
SMALL, LARGE = (int(number) for number in os.environ.get("TEXTMILL_GROWTH", "10000,100000").split(","))


@dataclass(frozen=True)
class Cost:
    """What a stage took: processor seconds, its own and its children's, and bytes of memory at its peak."""

    own: float
    children: float
    peak: int


def measure(folder: Path, count: int, repeats: int = 1) -> dict[str, Cost]:
    """Run the stages on `count` documents."""
    folder.mkdir()
    generate(folder, count)
    return {
        stage: min((run(folder, stage) for _ in range(repeats)), key=lambda cost: cost.own + cost.children)
        for stage in CONFIGS
    }


def run(folder: Path, stage: str) -> Cost:
    """Run one stage in a process of its own and watch its memory."""
    command = [sys.executable, "-m", "tests.benchmarks.growth_run", str(folder), stage]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.05)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, f"{stage} of {folder.name} documents failed"
    own, children = map(float, said.splitlines()[-1].split())
    return Cost(own, children, peak)


def resident(pid: int) -> int:
    """Bytes of resident memory of a process and all it started."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_neither_time_per_document_nor_memory_grows_with_the_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = measure(tmp_path / str(BASE), BASE, repeats=3)  # the first one fills the caches of compiled code
    small, large = measure(tmp_path / str(SMALL), SMALL, repeats=2), measure(tmp_path / str(LARGE), LARGE)
    span = f"× from {SMALL:,} to {LARGE:,} documents"
    for stage in CONFIGS:
        each = [
            (costs[stage].own - base[stage].own + costs[stage].children) / (count - BASE)
            for costs, count in ((small, SMALL), (large, LARGE))
        ]
        peaks = [costs[stage].peak for costs in (small, large)]
        record(f"{stage}: growth of time per document", each[1] / each[0], unit=span)
        record(f"{stage}: time per document of 1 kB", each[1] * 1e6, unit=f"µs of one core, at {LARGE:,} documents")
        record(f"{stage}: growth of memory", peaks[1] / peaks[0], unit=span)
        record(f"{stage}: memory", peaks[1] / 1e6, unit=f"MB with one worker, at {LARGE:,} documents")
        with capsys.disabled():
            print(f"\n{stage}: {each[0] * 1e6:.0f} → {each[1] * 1e6:.0f} µs each", end="")
            print(f", {peaks[0] / 1e6:.0f} → {peaks[1] / 1e6:.0f} MB")
