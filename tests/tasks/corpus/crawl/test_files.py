"""Source files as a whole: told apart by name and content, single documents, the whole stage with files.

Also covers: tasks/corpus/crawl/file_kinds.py
"""

from __future__ import annotations

import gzip

import pyarrow.parquet as pq
import pytest

from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.stage import PermanentError, local_output
from tests.tasks.corpus.crawl.conftest import Answer, Site
from tests.tasks.corpus.crawl.reading import contents, read


@pytest.mark.parametrize(
    ("name", "mime"),
    [("a.txt", "text/plain"), ("b.md", "text/markdown"), ("c.HTML", "text/html"), ("d.txt.gz", "text/plain")],
)
def test_single_documents(tmp_path, name, mime):
    data = "Grüße".encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (record,) = read(tmp_path / name)
    assert (record.content, record.mime, record.record_id) == (data, mime, name)


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
