"""Ten times the documents: processor time per document and memory of the data side may not grow with the corpus.

Generated documents go from files through crawl, clean and dedup, each stage in a process of its own with one worker.
The growth is that of all the time by all the documents; the time of one more document is the difference of both sizes,
in which imports are no part. Memory is the resident memory of the process and its children together, looked at twenty
times a second; twice counted is what they share.
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
SMALL, LARGE = (int(number) for number in os.environ.get("TEXTMILL_GROWTH", "10000,100000").split(","))


@dataclass(frozen=True)
class Cost:
    """What a stage took: processor seconds, and bytes of memory at its peak."""

    seconds: float
    peak: int


def measure(folder: Path, count: int) -> dict[str, Cost]:
    """Run the stages on `count` documents."""
    folder.mkdir()
    generate(folder, count)
    return {stage: run(folder, stage) for stage in CONFIGS}


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
    return Cost(float(said.splitlines()[-1]), peak)


def resident(pid: int) -> int:
    """Bytes of resident memory of a process and all it started.

    A child that is still its parent, between fork and exec (git, asked for the commit), has no memory of its own and
    would double the peak (seen in one run of 14).
    """
    total = 0
    try:
        first = psutil.Process(pid)
        command, processes = first.cmdline(), [first, *first.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            if process is first or process.cmdline() != command:
                total += process.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_neither_time_per_document_nor_memory_grows_with_the_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(tmp_path / "first", 100)  # fills the caches of compiled code
    small, large = (measure(tmp_path / str(count), count) for count in (SMALL, LARGE))
    span = f"× from {SMALL:,} to {LARGE:,} documents"
    for stage in CONFIGS:
        few, many = small[stage], large[stage]
        one_more = (many.seconds - few.seconds) / (LARGE - SMALL)
        record(f"{stage}: growth of time per document", many.seconds / LARGE * SMALL / few.seconds, unit=span)
        record(f"{stage}: time of one more document of 1 kB", one_more * 1e6, unit="µs of one core")
        record(f"{stage}: growth of memory", many.peak / few.peak, unit=span)
        record(f"{stage}: memory", many.peak / 1e6, unit=f"MB with one worker, at {LARGE:,} documents")
        with capsys.disabled():
            print(f"\n{stage}: {few.seconds:.1f} → {many.seconds:.1f} s, {one_more * 1e6:.0f} µs for one more", end="")
            print(f", {few.peak / 1e6:.0f} → {many.peak / 1e6:.0f} MB")
    assert all(large[stage].peak <= 1.1 * small[stage].peak for stage in CONFIGS)
