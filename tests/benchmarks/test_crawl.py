"""Pages per second against one local server: ours, and Scrapy with the same limits, by turns in one run."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import resource
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.board import record

PAGES, CONCURRENCY, ROUNDS = 2000, 16, 3
HERE = Path(__file__).resolve().parent

OURS = """
import sys
from pathlib import Path
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.stage import local_output
url, folder, concurrency = sys.argv[1:]
config = CrawlConfig(seeds=(url,), allow_private_hosts=("127.0.0.1",), delay=0, concurrency=concurrency,
                     per_host=concurrency)
crawl(config, local_output(Path(folder)))
"""


@contextlib.contextmanager
def site() -> Iterator[str]:
    """Start the site in a process of its own; give its URL."""
    server = subprocess.Popen([sys.executable, str(HERE / "site_server.py"), str(PAGES)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
    finally:
        server.kill()
        server.wait()


def stats(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}__stats") as answer:
        return json.load(answer)


def measure(url: str, command: list[str]) -> tuple[float, float]:
    """Run a crawler; return pages per second as the site saw it, and pages per second of its own processor time."""
    stats(url)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, cwd=HERE.parents[1], stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen = stats(url)
    assert seen["requests"] >= PAGES + 20, f"only {seen['requests']:.0f} requests came"
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seen["requests"] / (seen["last"] - seen["first"]), seen["requests"] / processor


@pytest.mark.benchmark
def test_pages_per_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scrapy", reason="pip install -e '.[bench]'")
    name = f"scrapy {importlib.metadata.version('scrapy')}"
    rows: dict[str, list[tuple[float, float]]] = {}
    with site() as url:
        for number in range(ROUNDS):  # by turns, so that whatever else the machine does meets all of them
            for who, command in (
                ("textmill", ["-c", OURS]),
                (name, [str(HERE / "scrapy_spider.py")]),
                (f"{name}, queue on disk", [str(HERE / "scrapy_spider.py")]),
            ):
                folder = tmp_path / f"{who} {number}"
                folder.mkdir()
                more = ["queue"] if "queue" in who else []
                rows.setdefault(who, []).append(measure(url, [*command, url, str(folder), str(CONCURRENCY), *more]))
    for column, (row, unit) in enumerate(
        [("crawl", "pages/s"), ("crawl, processor time", "pages per s of processor time, start included")]
    ):
        found = {who: statistics.median(round_[column] for round_ in rounds) for who, rounds in rows.items()}
        ours = found.pop("textmill")
        ratio = record(row, ours, found, unit=unit)
        with capsys.disabled():
            print(f"\n{row}: {ours:,.0f} {unit}, {ratio:.2f} times the best of {found}")
