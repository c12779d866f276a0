"""Sources fetched from servers: broken connections, kills, redirects, refused addresses, and a real S3 server."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tasks.corpus.crawl.remote as remote
from data_lake.store.lake import Lake
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.crawl.remote import FetchError, fetched
from tasks.corpus.crawl.source_files import NoSuchSource
from tasks.corpus.crawl.sources import find_sources
from tasks.stage import PermanentError, local_output


@dataclass
class FileServer:
    """Serves `files` over HTTP/1.1 with ranges, and breaks off behind `cut` bytes of body each time it is asked."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    ranges: bool = True
    answers: list[tuple[int, str]] = field(default_factory=list)  # sent instead, first come first served
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://files.test:{self.port}"

    def config(self, *paths: str, **settings: Any) -> CrawlConfig:
        resolve = {"files.test": (f"127.0.0.1:{self.port}",)}
        return CrawlConfig(paths=paths, resolve=resolve, **{"backoff": 0.001, "page_seconds": 5.0, **settings})

    def answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            first = stream.readline().split()
            if len(first) < 2:
                return
            asked = {"path": first[1].decode()}
            while (line := stream.readline().strip()) and b":" in line:
                name, _, value = line.decode().partition(":")
                asked[name.strip().lower()] = value.strip()
            self.asked.append(asked)
            if self.answers:
                status, extra = self.answers.pop(0)
                connection.sendall(
                    f"HTTP/1.1 {status} X\r\n{extra}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
                )
                return
            body = self.files.get(asked["path"])
            if body is None:
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            start, status = 0, "200 OK"
            extra = {"ETag": '"v1"', **self.headers}
            if self.ranges and "range" in asked and asked.get("if-range") == extra["ETag"]:
                start, status = int(asked["range"][6:-1]), "206 Partial Content"
                extra["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            head = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
            length = len(body) - start
            connection.sendall(
                f"HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode()
            )
            connection.sendall(body[start : None if self.cut is None else start + self.cut])


@pytest.fixture
def server() -> Iterator[FileServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    state = FileServer(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            state.answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    yield state
    listener.close()


def lines(*texts: str) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def pages(folder: Path) -> list[tuple[str, str]]:
    return [(row["source"], row["reason"]) for row in pq.read_table(folder / "pages.parquet").to_pylist()]


def test_a_connection_that_breaks_goes_on_where_it_was(server: FileServer, tmp_path):
    body = bytes(range(256)) * 50_000  # 12.8 MB
    server.files["/big.bin"], server.cut = body, 3_000_000
    url = f"{server.url}/big.bin"
    with fetched(url, server.config(url, tries=2), tmp_path) as path:
        assert path.read_bytes() == body
    assert len(server.asked) == 5
    assert [asked.get("range") for asked in server.asked][:2] == [None, "bytes=3000000-"]
    assert list((tmp_path / "fetched").iterdir()) == []  # nothing stays behind


def test_a_killed_process_goes_on_with_its_part(server: FileServer, tmp_path):
    body = bytes(range(256)) * 10_000
    server.files["/f.jsonl"], server.cut = body, 1_000
    url = f"{server.url}/f.jsonl"
    with pytest.raises(FetchError, match="connection"), fetched(url, server.config(url, tries=1), tmp_path):
        pass
    server.cut = None
    with fetched(url, server.config(url), tmp_path) as path:
        assert path.read_bytes() == body
    assert server.asked[-1]["range"] == "bytes=1000-"


@pytest.mark.parametrize("change", ["no_ranges", "new_version", "weak_tag"])
def test_a_part_is_dropped_where_it_cannot_be_gone_on_with(server: FileServer, tmp_path, change):
    url = f"{server.url}/f.txt"
    server.files["/f.txt"], server.cut = b"a" * 5_000, 1_000
    if change == "weak_tag":
        server.headers["ETag"] = 'W/"v1"'
    with pytest.raises(FetchError), fetched(url, server.config(url, tries=1), tmp_path):
        pass
    server.cut = None
    server.files["/f.txt"] = b"b" * 5_000
    if change == "no_ranges":
        server.ranges = False
    elif change == "new_version":
        server.headers["ETag"] = '"v2"'
    with fetched(url, server.config(url), tmp_path) as path:
        assert path.read_bytes() == b"b" * 5_000


def test_a_busy_server_is_asked_again_and_a_missing_file_is_a_row(server: FileServer, tmp_path):
    server.files["/a.jsonl.gz"] = gzip.compress(lines("one", "two"))
    server.answers = [(503, "Retry-After: 0\r\n"), (429, ""), (302, "Location: /a.jsonl.gz\r\n")]
    config = server.config(f"{server.url}/a.jsonl.gz", f"{server.url}/gone.jsonl", workers=1)
    crawl(config, local_output(tmp_path / "out"))
    name = f"files.test:{server.port}"
    assert pages(tmp_path / "out") == [(f"{name}/a.jsonl.gz", "read")] * 2 + [(f"{name}/gone.jsonl", "http_404")]


def test_a_file_larger_than_the_limit_is_not_fetched_whole(server: FileServer, tmp_path):
    server.files["/f.txt"] = bytes(3_000_000)
    url = f"{server.url}/f.txt"
    with (
        pytest.raises(FetchError, match="file_too_large"),
        fetched(url, server.config(url, max_file_megabytes=1), tmp_path),
    ):
        pass
    assert list((tmp_path / "fetched").iterdir()) == []


def test_redirects_without_end(server: FileServer, tmp_path):
    server.answers = [(301, "Location: /x\r\n")] * 100
    url = f"{server.url}/f.txt"
    with pytest.raises(FetchError, match="redirect_loop"), fetched(url, server.config(url), tmp_path):
        pass


def test_private_addresses_are_refused_at_first_and_behind_a_redirect(server: FileServer, tmp_path):
    server.files["/f.txt"] = b"secret"
    inside = f"http://127.0.0.1:{server.port}/f.txt"
    for url in (inside, f"http://localhost:{server.port}/f.txt"):
        with pytest.raises(FetchError, match="private_address"), fetched(url, CrawlConfig(), tmp_path):
            pass
    assert server.asked == []
    server.answers = [(302, f"Location: {inside}\r\n")]
    url = f"{server.url}/f.txt"
    with pytest.raises(FetchError, match="private_address"), fetched(url, server.config(url), tmp_path):
        pass
    with fetched(inside, CrawlConfig(allow_private_hosts=("127.0.0.1",)), tmp_path) as path:
        assert path.read_bytes() == b"secret"


def test_a_list_of_paths_like_common_crawls(server: FileServer, tmp_path):
    names = [f"crawl-data/CC-MAIN-2024-10/segments/{n}/wet/x-{n}.txt" for n in range(6)]
    for number, name in enumerate(names):
        server.files[f"/{name}"] = f"page {number}".encode()
    server.files["/crawl-data/CC-MAIN-2024-10/wet.paths.gz"] = gzip.compress("\n".join(names).encode() + b"\n")
    url = f"{server.url}/crawl-data/CC-MAIN-2024-10/wet.paths.gz"
    config = server.config(url, path_lists={"files": 3})
    crawl(config, local_output(tmp_path / "out"))
    assert pages(tmp_path / "out") == [(names[0], "read"), (names[2], "read"), (names[4], "read")]
    asked = len(server.asked)
    crawl(config, local_output(tmp_path / "out"))  # all of it is there
    assert len(server.asked) == asked


def test_a_list_names_only_what_lies_below_its_base(server: FileServer, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("inside")
    (tmp_path / "secret.txt").write_text("outside")
    listed = tmp_path / "in" / "files.paths"
    listed.write_text(f"a.txt\n../secret.txt\n{tmp_path}/secret.txt\nfile:///etc/passwd\nmissing.txt\n# a comment\n")
    crawl(CrawlConfig(paths=(str(listed),)), local_output(tmp_path / "out"))
    assert sorted(reason for _, reason in pages(tmp_path / "out")) == ["read", *["refused_path"] * 3, "unreadable_file"]
    server.files["/x.paths"] = f"{tmp_path}/secret.txt\n".encode()
    with pytest.raises(PermanentError, match="refused_path"):
        crawl(server.config(f"{server.url}/x.paths"), local_output(tmp_path / "out2"))


def test_an_unreachable_list_is_a_sentence(server: FileServer, tmp_path):
    url = f"{server.url}/gone.paths.gz"
    with pytest.raises(NoSuchSource, match=r"gone\.paths\.gz' cannot be fetched: status 404"):
        find_sources(server.config(url), tmp_path)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a.txt", "https://me:secret@example.org/a.txt", "https://x.org/a.txt?X-Amz-Signature=secret"],
)
def test_urls_that_cannot_be_or_that_hold_credentials(url):
    with pytest.raises(ValueError, match=r"cannot be read|contains credentials"):
        CrawlConfig(paths=(url,))


# -- S3 ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with some files, reached as the environment says."""
    from pyarrow import fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key-of-the-test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    store = fs.S3FileSystem(
        endpoint_override=s3_endpoint.removeprefix("http://"),
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir("corpus")
    for name, body in {
        "a/one.jsonl": lines("one", "two"),
        "a/deep/three.jsonl.gz": gzip.compress(lines("three")),
        "a/table.txt": b"four",
        "b/odd?#[1].jsonl": lines("five"),
        "list.paths": b"a/one.jsonl\na/table.txt\n",
    }.items():
        with store.open_output_stream(f"corpus/{name}", compression=None) as stream:
            stream.write(body)
    return "corpus"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("s3://corpus/a/one.jsonl", {"corpus/a/one.jsonl": 2}),
        ("s3://corpus/a/", {"corpus/a/one.jsonl": 2, "corpus/a/deep/three.jsonl.gz": 1, "corpus/a/table.txt": 1}),
        ("s3://corpus/a/*.jsonl", {"corpus/a/one.jsonl": 2}),
        ("s3://corpus/a/*.jsonl*", {"corpus/a/one.jsonl": 2}),  # a star does not cross a slash, as on a disk
        ("s3://corpus/a/**/*.jsonl*", {"corpus/a/one.jsonl": 2, "corpus/a/deep/three.jsonl.gz": 1}),
        ("s3://corpus/b/odd?#[1].jsonl", {"corpus/b/odd?#[1].jsonl": 1}),
        ("s3://corpus/list.paths", {"a/one.jsonl": 2, "a/table.txt": 1}),
    ],
)
def test_objects_folders_patterns_and_lists_on_s3(bucket, tmp_path, entry, expected):
    crawl(CrawlConfig(paths=(entry,), workers=1), local_output(tmp_path / "out"))
    found = pages(tmp_path / "out")
    assert {source: found.count((source, "read")) for source, _ in found} == expected


def test_an_object_goes_on_where_a_killed_process_left_it(bucket, s3_endpoint, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    config = CrawlConfig(s3={"endpoint": s3_endpoint}, backoff=0.001)
    url = "s3://corpus/a/one.jsonl"
    real = remote._Part.begin

    def begin_and_die(part: Any, validator: str | None) -> None:
        real(part, validator)
        part.path.write_bytes(b"HALF OF IT")
        raise KeyboardInterrupt

    monkeypatch.setattr(remote._Part, "begin", begin_and_die)
    with pytest.raises(KeyboardInterrupt), fetched(url, config, tmp_path):
        pass
    monkeypatch.setattr(remote._Part, "begin", real)
    with fetched(url, config, tmp_path) as path:
        assert path.read_bytes() == b"HALF OF IT" + lines("one", "two")[10:]  # not asked for again
    with fetched(url, config, tmp_path) as path:
        assert path.read_bytes() == lines("one", "two")


def test_what_is_not_on_s3_and_a_bucket_that_is_not_there(bucket, tmp_path):
    config = CrawlConfig(paths=("s3://corpus/a/one.jsonl", "s3://corpus/none.jsonl"), backoff=0.001, workers=1)
    crawl(config, local_output(tmp_path / "out"))
    assert dict(pages(tmp_path / "out")) == {"corpus/a/one.jsonl": "read", "corpus/none.jsonl": "s3_missing"}
    with pytest.raises(NoSuchSource, match=r"cannot be listed|matches no object"):
        find_sources(CrawlConfig(paths=("s3://no-such-bucket/",)), tmp_path)
    with pytest.raises(NoSuchSource, match="matches no object"):
        find_sources(CrawlConfig(paths=("s3://corpus/nothing/*.txt",)), tmp_path)


def test_credentials_go_nowhere(bucket, tmp_path):
    lake = Lake(tmp_path / "lake")
    built = crawl.build(lake, CrawlConfig(paths=("s3://corpus/a/one.jsonl", "s3://corpus/none"), tries=1), {})
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert built.artifact.counts["pages"] == 2
    assert b"of-the-test" not in everything
