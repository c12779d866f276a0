"""File sources through the whole stage: kills, workers, lost files, and a ledger that adds up.

Also covers: tasks/corpus/crawl/source_record.py
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import WORK
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.stage import local_output
from tests.memory import forget_peak, peak_megabytes, resident_megabytes
from tests.tasks.corpus.crawl.test_archives import page, warc_record

PROGRAM = """
import sys
from pathlib import Path
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.stage import local_output
if __name__ == "__main__":
    crawl(CrawlConfig(paths=(sys.argv[1],), workers=int(sys.argv[3])), local_output(Path(sys.argv[2])))
"""


def digests(folder: Path) -> dict[str, str]:
    """What an artifact would hold: all files but those in work."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != WORK
    }


def plant(folder: Path, files: int, rows: int) -> None:
    """JSON lines of more than a megabyte each, and small texts between them."""
    folder.mkdir()
    for number in range(files):
        words = random.Random(number)
        lines = [json.dumps({"text": words.randbytes(300).hex(), "id": n}) for n in range(rows)]
        (folder / f"{number:03d}.jsonl").write_text("\n".join(lines) + "\n{broken\n")
        (folder / f"{number:03d}-note.txt").write_text(f"note {number}")


def test_a_kill_costs_the_file_that_is_being_read(tmp_path):
    plant(tmp_path / "in", files=10, rows=1_800)
    crawl(CrawlConfig(paths=(str(tmp_path / "in"),), workers=1), local_output(tmp_path / "whole"))
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "in"), str(killed)]
    kills = 0
    for at_least in (3, 6):
        process = subprocess.Popen([*command, "1"], start_new_session=True)
        while process.poll() is None and len(list((killed / WORK).glob("pages-*.parquet"))) < at_least:
            time.sleep(0.002)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        for done in (killed / WORK).glob("pages-*.parquet"):  # whoever reads a finished file again will not find it
            for source in set(pq.read_table(done)["source"].to_pylist()):
                (tmp_path / "in" / source).unlink(missing_ok=True)
    assert kills == 2
    assert len(list((tmp_path / "in").iterdir())) <= 5
    subprocess.run([*command, "2"], check=True)
    assert digests(killed) == digests(tmp_path / "whole")


def test_workers_do_not_change_a_byte(tmp_path):
    plant(tmp_path / "in", files=3, rows=1_800)
    for workers in (1, 3):
        crawl(CrawlConfig(paths=(str(tmp_path / "in"),), workers=workers), local_output(tmp_path / str(workers)))
    assert digests(tmp_path / "1") == digests(tmp_path / "3")


def test_every_record_is_accounted_for_whatever_the_files_are(tmp_path):
    """Random bytes, bombs, cut archives, empty files: each has its rows, and the ledger adds up."""
    folder = tmp_path / "in"
    (folder / ".hidden").mkdir(parents=True)
    noise = random.Random(1).randbytes(50_000)
    warc = b"".join(warc_record(page(f"page {number} " + "x" * 2_000)) for number in range(5))
    for name, data in {
        "good.jsonl": b'{"text": "one"}\n{"text": "two"}\n',
        "cut.jsonl.gz": gzip.compress(b'{"text": "three"}\n' + noise.hex().encode())[:-900],
        "line.jsonl": b'{"text": "' + b"x" * 3_000_000 + b'"}\n{"text": "after the long line"}\n',
        "bomb.txt.gz": gzip.compress(bytes(10_000_000)),
        "cut.warc": warc[:-1_000],
        "noise.warc.gz": noise,
        "noise.arc": noise,
        "noise.parquet": noise,
        "noise.json.zst": noise,
        "noise.csv": noise,
        "empty.txt": b"",
        "empty.parquet": b"",
        "latin.txt": "Grüße".encode("latin-1"),
        "picture.png": noise,
    }.items():
        (folder / name).write_bytes(data)
    out = local_output(tmp_path / "out")
    crawl(CrawlConfig(paths=(str(folder),), max_page_megabytes=0.1), out)
    rows = pq.read_table(tmp_path / "out" / "pages.parquet").to_pylist()
    reasons: dict[str, Counter[str]] = {}
    for row in rows:
        reasons.setdefault(row["source"], Counter())[row["reason"]] += 1
    assert set(reasons) == {*(path.name for path in folder.iterdir() if path.is_file()), ".hidden/"}
    assert reasons["good.jsonl"] == {"read": 2}
    assert reasons["cut.jsonl.gz"] == {"read": 1, "broken_record": 1, "broken_file": 1}
    assert reasons["line.jsonl"] == {"too_large": 1, "read": 1}
    assert reasons["bomb.txt.gz"] == {"too_large": 1}
    assert reasons["cut.warc"] == {"read": 4, "truncated_record": 1}
    assert reasons["empty.txt"] == reasons["empty.parquet"] == {"empty_file": 1}
    assert reasons["picture.png"] == {"unknown_type": 1}
    assert reasons[".hidden/"] == {"hidden": 1}
    assert all("read" not in counts for name, counts in reasons.items() if name.startswith("noise"))
    assert out.accounts is not None
    assert list(out.accounts.problems()) == []
    assert out.accounts.incoming.documents == len(rows) == out.counts["urls"]
    assert out.accounts.incoming.bytes == sum(row["n_bytes"] for row in rows)


def test_the_100_megabyte_line_passes_in_little_memory(tmp_path):
    path, short = tmp_path / "line.jsonl", tmp_path / "short.jsonl"
    short.write_text('{"text": "a short line, for the imports"}\n')
    with open(path, "wb") as file:
        file.write(b'{"text": "')
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"text": "after"}\n')
    crawl(CrawlConfig(paths=(str(short),), max_page_megabytes=1, workers=1), local_output(tmp_path / "warm"))
    forget_peak()
    before = resident_megabytes()
    crawl(CrawlConfig(paths=(str(path),), max_page_megabytes=1, workers=1), local_output(tmp_path / "out"))
    assert [row["reason"] for row in pq.read_table(tmp_path / "out" / "pages.parquet").to_pylist()] == [
        "too_large",
        "read",
    ]
    assert peak_megabytes() - before < 50


def test_strings_that_no_table_takes(tmp_path):
    rows = [
        {"text": "a", "url": "http://a/\ud800", "title": "\udfff", "id": "x" * 10},
        {"text": "b", "url": "u" * 10_000, "fetched_at": "0001-01-01T00:00:00+14:00", "id": 2**70},
        {"text": "c", "url": {"not": "a string"}, "title": ["x"], "fetched_at": "2024-02-30"},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    crawl(CrawlConfig(paths=(str(tmp_path / "a.jsonl"),)), local_output(tmp_path / "out"))
    pages = pq.read_table(tmp_path / "out" / "pages.parquet").to_pylist()
    assert [row["reason"] for row in pages] == ["read"] * 3
    assert all(len(row["url"]) <= 2_000 for row in pages)


@pytest.mark.shared
def test_rows_of_c4_and_dolma(shared_data, tmp_path):
    folder = shared_data / "07_text"
    (c4,) = folder.rglob("c4_demo.jsonl")
    dolma = folder / "allenai__dolma" / "tests" / "data" / "provided" / "documents" / "000.json.gz"
    crawl(CrawlConfig(paths=(str(c4), str(dolma))), local_output(tmp_path / "out"))
    found = Counter(
        (row["source"], row["reason"]) for row in pq.read_table(tmp_path / "out" / "pages.parquet").to_pylist()
    )
    assert found == {("c4_demo.jsonl", "read"): 300, ("000.json.gz", "read"): 10}
    records = pq.read_table(tmp_path / "out" / "records").to_pylist()
    expected = [json.loads(line)["text"] for line in c4.read_text().splitlines()]
    expected += [json.loads(line)["text"] for line in gzip.decompress(dolma.read_bytes()).splitlines()]
    assert sorted(record["content"].decode() for record in records) == sorted(expected)
