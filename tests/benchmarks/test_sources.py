"""How fast source files are read: records per second of processor time, beside warcio and datatrove in the same run."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import pyarrow as pa
import pytest

from data_lake.store.home import Home
from tasks.corpus.crawl import CrawlConfig
from tasks.corpus.crawl.files import read_file
from tasks.corpus.crawl.fingerprints import fingerprint_files
from tests.benchmarks.board import record
from tests.tasks.corpus.crawl.reading import write_warc

ROUNDS = 3


def per_second(read: Callable[[], Iterable[object]]) -> float:
    """Records per second of processor time: the median of some rounds."""
    speeds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        number = sum(1 for _ in read())
        speeds.append(number / (time.process_time() - started))
    return median(speeds)


def texts(number: int, words: int) -> list[str]:
    """Texts of words that pack about as well as English does."""
    draw = random.Random(1)
    vocabulary = [draw.randbytes(3).hex()[: draw.randint(2, 6)] for _ in range(5_000)]
    return [" ".join(draw.choices(vocabulary, k=words)) for _ in range(number)]


@pytest.mark.benchmark
def test_rows_per_second_of_a_packed_json_lines_file(tmp_path: Path) -> None:
    pytest.importorskip("datatrove")
    from datatrove.pipeline.readers import JsonlReader

    path = tmp_path / "rows.jsonl.zst"
    rows = [
        json.dumps({"text": text, "id": str(number), "url": f"http://example.org/{number}", "language": "en"})
        for number, text in enumerate(texts(40_000, 300))
    ]
    path.write_bytes(pa.compress("\n".join(rows).encode(), "zstd", asbytes=True))
    ours = per_second(lambda: read_file(path, path.name, CrawlConfig()))
    datatrove = JsonlReader(str(tmp_path), glob_pattern=path.name, compression="zstd", doc_progress=False)
    theirs = per_second(lambda: datatrove.run())
    ratio = record("sources: JSON lines, zstd", ours, {"datatrove": theirs}, unit="rows/s per core")
    assert ratio is not None
    assert ratio > 1


@pytest.mark.benchmark
def test_pages_per_second_of_a_packed_warc(tmp_path: Path) -> None:
    from warcio.archiveiterator import ArchiveIterator

    path = tmp_path / "pages.warc.gz"
    write_warc(path, [f"<html><body><p>{text}</p></body></html>".encode() for text in texts(4_000, 4_000)])

    def warcio() -> Iterable[bytes]:
        with open(path, "rb") as stream:
            for entry in ArchiveIterator(stream):
                if entry.rec_type == "response":
                    yield entry.content_stream().read()

    rivals = {"warcio": per_second(warcio)}
    ours = per_second(lambda: read_file(path, path.name, CrawlConfig()))
    ratio = record("sources: WARC, gzip", ours, rivals, unit="pages/s per core")
    assert ratio is not None
    assert ratio > 1


def seconds_of_plans(folder: Path, home: Home) -> list[float]:
    """Processor seconds of the fingerprint of a folder, the first time and the next."""
    time.sleep(2.1)  # a file written a moment ago is not trusted
    seconds = []
    for _ in range(2):
        started = time.process_time()
        fingerprint_files((str(folder),), home)
        seconds.append(time.process_time() - started)
    return seconds


@pytest.mark.benchmark
def test_seconds_of_a_plan_over_gigabytes_of_sources(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    block = random.Random(1).randbytes(1 << 20)
    (tmp_path / "in").mkdir()
    for number in range(40):
        with open(tmp_path / "in" / f"{number}.jsonl", "wb") as file:
            for _ in range(50):
                file.write(block)
    seconds = seconds_of_plans(tmp_path / "in", home)
    record("sources: first plan of 2 GB", seconds[0], unit="s", more_is_better=False)
    record("sources: next plan of 2 GB", seconds[1], unit="s", more_is_better=False)
    assert seconds[0] < 2
    assert seconds[1] < 0.1


@pytest.mark.benchmark
def test_seconds_of_a_plan_over_many_small_sources(tmp_path: Path) -> None:
    home, draw = Home(tmp_path / "home"), random.Random(1)
    for number in range(20_000):
        if number % 1000 == 0:
            folder = tmp_path / "in" / str(number)
            folder.mkdir(parents=True)
        (folder / f"{number}.txt").write_bytes(draw.randbytes(2_000))
    seconds = seconds_of_plans(tmp_path / "in", home)
    record("sources: first plan of 20,000 files", seconds[0], unit="s", more_is_better=False)
    record("sources: next plan of 20,000 files", seconds[1], unit="s", more_is_better=False)
    assert seconds[0] < 3 * seconds[1]  # of which most is to list them
