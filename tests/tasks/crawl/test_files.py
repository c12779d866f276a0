"""Sources that are files: every format, and broken ones that cost only what is broken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.crawl import CrawlConfig, crawl
from tasks.crawl.files import read_file
from tasks.crawl.sources import NoSuchSource, find_local
from tasks.crawl.stage import source_fingerprint
from tasks.stage import PermanentError, local_output
from tests.tasks.crawl.conftest import Answer, Site

CONFIG = CrawlConfig()


def read(path: Path, **settings: Any) -> list[Any]:
    return list(read_file(path, path.name, CrawlConfig(**settings)))


def contents(path: Path, **settings: Any) -> list[bytes | str]:
    """What each record holds, or its problem."""
    return [record.problem or record.content for record in read(path, **settings)]


def write_warc(path: Path, bodies: list[bytes]) -> None:
    from io import BytesIO

    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with open(path, "wb") as stream:
        writer = WARCWriter(stream, gzip=path.suffix == ".gz")
        for number, body in enumerate(bodies):
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=latin-1")], protocol="HTTP/1.1")
            url = f"http://example.org/{number}"
            writer.write_record(writer.create_warc_record(url, "response", BytesIO(body), http_headers=headers))


@pytest.mark.parametrize(
    ("name", "mime"),
    [("a.txt", "text/plain"), ("b.md", "text/markdown"), ("c.HTML", "text/html"), ("d.txt.gz", "text/plain")],
)
def test_single_documents(tmp_path, name, mime):
    data = "Grüße".encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (record,) = read(tmp_path / name)
    assert (record.content, record.mime, record.record_id) == (data, mime, name)


@pytest.mark.parametrize("packed", [False, True])
def test_jsonl_with_broken_lines(tmp_path, packed):
    lines = [
        json.dumps({"text": "one", "id": 7, "url": "http://a/", "fetched_at": "2025-01-02T03:04:05Z"}),
        "{broken",
        json.dumps({"no_text": 1}),
        "",
        json.dumps({"text": "x" * 3_000}),
        "[" * 50_000,
        '"' + "y" * 200_000,
        json.dumps({"text": "last"}),
    ]
    path = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl")
    data = b"\xef\xbb\xbf" + "\n".join(lines).encode() + b"\n"
    path.write_bytes(gzip.compress(data) if packed else data)
    records = read(path, max_page_megabytes=0.002)
    assert [record.problem for record in records] == [
        None,
        "broken_record",
        "no_text",
        "too_large",
        "broken_record",
        "too_large",
        None,
    ]
    first = records[0]
    assert (first.content, first.record_id, first.url) == (b"one", "7", "http://a/")
    assert first.fetched_at.isoformat() == "2025-01-02T03:04:05+00:00"


def test_columns_can_have_other_names(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "<p>x</p>", "key": "k"}\n')
    (record,) = read(tmp_path / "a.jsonl", fields={"text": "body", "id": "key", "mime": "text/html"})
    assert (record.content, record.record_id, record.mime) == (b"<p>x</p>", "k", "text/html")


def test_parquet(tmp_path):
    table = pa.table({"text": ["one", None, "three"], "url": [None, None, "http://a/"], "unused": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert contents(tmp_path / "a.parquet") == [b"one", "no_text", b"three"]
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "b.parquet")
    (record,) = read(tmp_path / "b.parquet")
    assert record.problem == "no_text_column"
    assert "content" in record.detail
    (tmp_path / "c.parquet").write_bytes(b"PAR1 nothing PAR1")
    assert contents(tmp_path / "c.parquet") == ["broken_file"]


def test_a_parquet_file_with_a_damaged_row_group_keeps_the_others(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {n} " * 50 for n in range(30)]})
    pq.write_table(table, path, row_group_size=10, compression="zstd")
    start = pq.read_metadata(path).row_group(1).column(0).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    found = contents(path)
    assert found.count("broken_record") == 10
    assert len(found) == 30


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_warc_with_a_damaged_record_keeps_the_others(tmp_path, name):
    path = tmp_path / name
    bodies = [f"<p>body {n} {'x' * 500}</p>".encode() for n in range(6)]
    write_warc(path, bodies)
    whole = read(path)
    assert [record.content for record in whole] == bodies
    assert whole[0].url == "http://example.org/0"
    assert whole[0].charset in ("latin-1", "cp1252", "iso-8859-1")
    data = path.read_bytes()
    marker = b"\x1f\x8b\x08" if name.endswith("gz") else b"WARC/1.0"
    third = [at for at in range(len(data)) if data.startswith(marker, at)][2]
    path.write_bytes(data[: third + 4] + b"\xff" * 60 + data[third + 64 :])
    found = contents(path)
    assert "broken_record" in found
    assert [body for body in bodies if body in found] == [*bodies[:2], *bodies[3:]]


def test_a_truncated_warc_gives_what_it_has(tmp_path):
    path = tmp_path / "a.warc.gz"
    bodies = [f"<p>body {n} {'x' * 500}</p>".encode() for n in range(6)]
    write_warc(path, bodies)
    path.write_bytes(path.read_bytes()[:-150])
    assert contents(path)[:5] == bodies[:5]
    assert bodies[5] not in contents(path)


@pytest.mark.parametrize(
    "name", ["a.warc.gz", "a.warc", "a.jsonl", "a.jsonl.gz", "a.parquet", "a.txt.gz", "a.xyz", "a.wet"]
)
def test_random_bytes_and_empty_files_never_raise(tmp_path, name):
    import random

    for data in (b"", b"\x1f\x8b", b"\x1f\x8b\x08" + bytes(100), random.Random(1).randbytes(100_000)):
        (tmp_path / name).write_bytes(data)
        assert all(record.problem or isinstance(record.content, bytes) for record in read(tmp_path / name))


def test_a_gzip_bomb_is_not_unfolded(tmp_path):
    (tmp_path / "bomb.txt.gz").write_bytes(gzip.compress(bytes(30_000_000)))
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 1_000_000))
    assert contents(tmp_path / "bomb.txt.gz") == ["too_large"]
    assert contents(tmp_path / "bomb.jsonl.gz", max_file_megabytes=1)[-1] == "file_too_large"


def test_names_do_not_hold_the_machines_folders(tmp_path):
    for name in ("x/a.txt", "x/deep/b.txt", "y/a.txt", "x/picture.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = find_local((str(tmp_path / "x"), str(tmp_path / "y" / "*.txt"), str(tmp_path / "x" / "a.txt")))
    assert [(file.name, Path(file.place).relative_to(tmp_path).as_posix(), file.problem) for file in found] == [
        ("a.txt", "x/a.txt", None),
        ("a.txt~2", "y/a.txt", None),
        ("deep/b.txt", "x/deep/b.txt", None),
        ("picture.png", "x/picture.png", "unknown_type"),
    ]
    with pytest.raises(NoSuchSource, match=r"nothing-\*"):
        find_local((str(tmp_path / "nothing-*"),))


def test_identity_follows_content_and_not_dates(tmp_path):
    import os

    path = tmp_path / "a.txt"
    path.write_text("one")
    config = CrawlConfig(paths=(str(path),))
    first = source_fingerprint(config)
    os.utime(path, (1, 1))
    assert source_fingerprint(config) == first
    path.write_text("two")
    assert source_fingerprint(config) != first
    assert source_fingerprint(CrawlConfig()) is None
    assert source_fingerprint(CrawlConfig(server="pydoc")) is not None


def test_files_and_sites_in_one_crawl(site: Site, tmp_path):
    site.pages["/"] = Answer(b"<p>page</p>")
    (tmp_path / "rows.jsonl").write_text('{"text": "row", "url": "HTTP://Example.org:80/x"}\n{broken\n')
    config = CrawlConfig(seeds=(f"{site.url}/",), resolve=site.resolve, delay=0.0, paths=(str(tmp_path / "*.jsonl"),))
    out = local_output(tmp_path / "out")
    crawl(config, out)
    rows = pq.read_table(tmp_path / "out" / "pages.parquet").to_pylist()
    assert {(row["url"], row["reason"]) for row in rows} == {
        (f"{site.url}/", "fetched"),
        ("http://example.org/x", "read"),
        ("rows.jsonl#1", "broken_record"),
    }
    assert out.accounts is not None
    assert list(out.accounts.problems()) == []
    (record,) = pq.read_table(tmp_path / "out" / "records" / "part-00000.parquet").to_pylist()
    assert record["content"] == b"row"


def test_a_pattern_without_files_is_a_sentence(tmp_path):
    with pytest.raises(PermanentError, match="matches no file"):
        crawl(CrawlConfig(paths=(str(tmp_path / "*.txt"),)), local_output(tmp_path / "out"))
