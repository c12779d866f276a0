"""pages.parquet: written in pieces as if in one, read by place, and every lie about it is a sentence."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.reading.catalog import Catalog
from data_lake.reading.ledger import Amount
from data_lake.store.lake import Lake
from data_lake.tables import schemas
from tasks.corpus.crawl import CrawlConfig, crawl, pages
from tasks.corpus.crawl.pages import (
    kept_pages,
    kept_rows,
    kept_sizes,
    pages_fingerprint,
    problems_of_pages,
    write_pages,
)
from tasks.stage import local_output
from tests.tasks.corpus.crawl.conftest import Site
from tests.tasks.corpus.crawl.test_archives import page as http
from tests.tasks.corpus.crawl.test_archives import warc_record

ROWS = st.lists(
    st.tuples(st.sampled_from(["read", "fetched", "robots", "http_404"]), st.integers(0, 99), st.text(max_size=8)),
    max_size=40,
)


def table(rows: list[tuple[str, int, str]]) -> pa.Table:
    """Rows of PAGES from (reason, bytes, url); what is kept lies in a record file."""
    made: list[dict[str, Any]] = []
    for number, (reason, size, url) in enumerate(rows):
        row: dict[str, Any] = {"url": url, "source": "a", "reason": reason, "n_bytes": size}
        if reason in pages.KEPT:
            row |= {"file": "records/part-00000.parquet", "offset": number, "payload_digest": f"{size:x}"}
        made.append(row)
    return pa.Table.from_pylist(made, schema=schemas.PAGES)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 9), st.integers(0, 45), st.integers(0, 45))
def test_pieces_are_as_good_as_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, str]], size: int, first: int, last: int
) -> None:
    folder = tmp_path_factory.mktemp("crawl")
    whole = table(rows)
    reasons, ledger = write_pages(folder, (whole[start : start + size] for start in range(0, len(rows), size)))
    kept = [row for row in whole.to_pylist() if row["reason"] in pages.KEPT]
    assert pq.read_table(folder / "pages.parquet").equals(whole)
    assert list(ledger.problems()) == []
    assert ledger.kept == Amount(len(kept), sum(row["n_bytes"] for row in kept))
    assert reasons.total() == len(rows)
    assert kept_sizes(folder) == [row["n_bytes"] for row in kept]
    assert list(kept_rows(folder, first, last)) == kept[first:last]


@given(ROWS, st.randoms())
def test_the_fingerprint_is_of_the_pages_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, str]], order: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("crawl")
    write_pages(folder, [table(rows)])
    before = pages_fingerprint(folder)
    shuffled = order.sample(rows, len(rows))
    write_pages(folder, [table([*shuffled, ("robots", 0, "never seen")])])
    assert pages_fingerprint(folder) == before
    write_pages(folder, [table([*shuffled, ("read", 1, "one more")])])
    assert pages_fingerprint(folder) != before


def test_rows_are_found_across_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "BATCH_ROWS", 7)
    write_pages(tmp_path, [table([("read" if n % 3 else "robots", n, f"u{n}") for n in range(60)])])
    assert [row["n_bytes"] for row in kept_rows(tmp_path, 10, 25)] == [n for n in range(60) if n % 3][10:25]
    assert max(batch.num_rows for batch in kept_pages(tmp_path)) <= 7


def test_the_view_says_when_each_page_was_fetched_and_the_content_does_not(tmp_path: Path) -> None:
    contents = []
    for day in (1, 2):
        date = f"2020-01-0{day}T00:00:00Z"
        (tmp_path / "a.warc").write_bytes(warc_record(http("page"), WARC_Date=date))
        (tmp_path / "b.jsonl").write_text(json.dumps({"text": "row", "fetched_at": date}))
        (tmp_path / "c.txt").write_text("no date")
        lake = Lake(tmp_path / f"lake{day}")
        artifact = crawl.build(lake, CrawlConfig(paths=(str(tmp_path / "[abc].*"),)), {}).artifact
        with Catalog(lake) as catalog:
            rows = dict(catalog.query("SELECT source, strftime(fetched_at, '%x %X') FROM pages").rows)
        assert rows == {"a.warc": f"2020-01-0{day} 00:00:00", "b.jsonl": f"2020-01-0{day} 00:00:00", "c.txt": None}
        contents.append(artifact.manifest.content)
    assert contents[0] == contents[1]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    whole = table([("read", 1, "a"), ("read", 2, "b"), ("robots", 0, "c")])
    write_pages(tmp_path, [whole])
    counts = {"urls": 3, "pages": 2}
    assert list(problems_of_pages(tmp_path, counts)) == ["records/part-00000.parquet is missing."]
    pq.write_table(pa.table({"row": [0]}), tmp_path / "records" / "part-00000.parquet")
    assert "fewer rows" in "".join(problems_of_pages(tmp_path, counts))
    pq.write_table(pa.table({"row": [0, 1]}), tmp_path / "records" / "part-00000.parquet")
    assert list(problems_of_pages(tmp_path, counts)) == []
    assert len(list(problems_of_pages(tmp_path, {"urls": 4, "pages": 1}))) == 2
    places = {"file": ["warc/a.warc.gz"] * 2, "offset": [0, 70], "length": [70, 40]}
    columns = [pa.array(places[f.name], f.type) if f.name in places else whole[f.name][:2] for f in schemas.PAGES]
    write_pages(tmp_path, [pa.table(columns, schema=schemas.PAGES)])
    (tmp_path / "warc").mkdir()
    (tmp_path / "warc" / "a.warc.gz").write_bytes(b"x" * 109)
    (problem,) = problems_of_pages(tmp_path, {"urls": 2, "pages": 2})
    assert problem == "warc/a.warc.gz is 109 bytes long and should hold a page up to 110."
    write_pages(tmp_path, [])
    assert "not a single page" in "".join(problems_of_pages(tmp_path, {"urls": 0, "pages": 0}))
    pq.write_table(pa.table({"url": ["a"]}), tmp_path / "pages.parquet")
    assert "schema" in "".join(problems_of_pages(tmp_path, counts))


def test_what_digest_ignore_matches_does_not_change_the_content(site: Site, tmp_path: Path) -> None:
    prints = []
    for number, address in enumerate(("0x7f00aa", "0x7fffbb")):
        site.page("/", text=f"object at {address}")
        for pattern in ((), ("0x[0-9a-f]+",)):
            folder = tmp_path / f"{number}{len(pattern)}"
            seeds = (f"{site.url}/",)
            config = CrawlConfig(seeds=seeds, resolve=site.resolve, digest_ignore=pattern, delay=0.0)
            crawl(config, local_output(folder))
            prints.append(pages_fingerprint(folder))
    assert prints[0] != prints[2]
    assert prints[1] == prints[3]
