"""Ten times the documents: processor time per document and memory of the data side may not grow with the corpus.

Generated documents go from files through crawl, clean and dedup, each stage in a process of its own with one worker.
The time of 100 documents, which is imports and compilation, is taken off both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.board import record
from tests.benchmarks.growth_run import CONFIGS, generate

ROOT = Path(__file__).resolve().parents[2]
BASE = 100
SMALL, LARGE = (int(number) for number in os.environ.get("TEXTMILL_GROWTH", "10000,100000").split(","))


def measure(folder: Path, count: int) -> dict[str, dict[str, float]]:
    """Run the stages on `count` documents; returns their processor seconds and peak bytes."""
    folder.mkdir()
    generate(folder / "documents.jsonl", count)
    found = {}
    for stage in CONFIGS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.growth_run", str(folder), stage],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found[stage] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_neither_time_per_document_nor_memory_grows_with_the_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(tmp_path / "warm", BASE)  # fills the caches of compiled code
    base, small, large = (measure(tmp_path / str(count), count) for count in (BASE, SMALL, LARGE))
    for stage in CONFIGS:
        each = [
            (run[stage]["seconds"] - base[stage]["seconds"]) / (count - BASE)
            for run, count in ((small, SMALL), (large, LARGE))
        ]
        record(f"growth of time per document, {stage}", each[1] / each[0], unit=f"× from {SMALL:,} to {LARGE:,}")
        record(f"time per document, {stage}", each[1] * 1e6, unit=f"µs of one core, at {LARGE:,} documents")
        peaks = [run[stage]["peak_bytes"] for run in (small, large)]
        record(f"growth of memory, {stage}", peaks[1] / peaks[0], unit=f"× from {SMALL:,} to {LARGE:,}")
        record(f"memory, {stage}", peaks[1] / 1e6, unit=f"MB at {LARGE:,} documents")
        with capsys.disabled():
            print(f"\n{stage}: {each[0] * 1e6:.0f} → {each[1] * 1e6:.0f} µs each", end="")
            print(f", {peaks[0] / 1e6:.0f} → {peaks[1] / 1e6:.0f} MB")
