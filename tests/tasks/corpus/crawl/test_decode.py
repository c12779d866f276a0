"""Content-Encoding undone within limits: every codec, bombs, torn and lying bodies, random bytes."""

from __future__ import annotations

import contextlib
import gzip
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl.decode import BrokenEncoding, Decoder, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODECS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", lambda data: brotli.compress(data, quality=5)),
    "zstd": ("zstd", zstd.compress),
}
PACKED = [name for name in CODECS if name not in ("none", "identity")]
TEXT = random.Random(7).randbytes(3000) + b"the same again " * 2000


def decode(encoding: str, body: bytes, limit: int, size: int = 1000, **options: bool) -> bytes:
    decoder = Decoder(encoding, limit, **options)
    for start in range(0, len(body), size):
        decoder.feed(body[start : start + size])
        if decoder.full:
            break
    return decoder.finish()


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_each_codec_gives_the_body_back_whatever_the_chunks(name, size):
    encoding, pack = CODECS[name]
    assert decode(encoding, pack(TEXT), len(TEXT), size) == TEXT
    assert decode(encoding, b"", 10) == b""


@pytest.mark.parametrize("name", CODECS)
def test_one_byte_over_the_limit_is_too_large(name):
    encoding, pack = CODECS[name]
    with pytest.raises(TooLarge):
        decode(encoding, pack(TEXT), len(TEXT) - 1)
    assert decode(encoding, pack(TEXT), len(TEXT) - 1, truncate=True) == TEXT[:-1]


@pytest.mark.parametrize("name", PACKED)
def test_a_bomb_is_stopped_before_it_unfolds(name):
    encoding, pack = CODECS[name]
    bomb = pack(bytes(60_000_000))
    assert len(bomb) < 80_000
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decode(encoding, bomb, 1_000_000, 65_536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("name", PACKED)
def test_a_body_that_breaks_off_is_broken(name):
    encoding, pack = CODECS[name]
    with pytest.raises(BrokenEncoding, match="ends in the middle"):
        decode(encoding, pack(TEXT)[:-9], 10**6)


def test_a_zstd_frame_that_wants_a_huge_window_is_refused():
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.enable_long_distance_matching: 1}
    with pytest.raises(BrokenEncoding):
        decode("zstd", zstd.compress(TEXT * 500, options=options), 10**9, 10**6)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "compress", "aws-chunked", "gzip;q=1", "☃"])
def test_an_encoding_that_was_not_asked_for_is_broken(encoding):
    with pytest.raises(BrokenEncoding, match="was not asked for"):
        Decoder(encoding, 10, strict=True)


PAGE = "<!doctype html><title>Die Mühle</title><p>Sie steht am Fluß und mahlt den ganzen Tag.".encode()


LATIN = PAGE.decode().encode("latin-1")


@pytest.mark.parametrize(
    ("encoding", "body", "whole"),
    [
        *((name, PAGE, PAGE) for name in ("UTF-8", "none", "8bit", "binary", "windows-1252", "", "identity, none")),
        *((name, PAGE, PAGE) for name in ("aws-chunked", "☃", "compress", "gzip", "deflate", "br", "zstd", "br, gzip")),
        ("utf-8", LATIN, LATIN), ("gzip", LATIN, LATIN), ("x", b"", b""), ("gzip", b"short", b"short"),
        ("br", b"<p>", b"<p>"), ("utf-8", PAGE.decode().encode("utf-16"), PAGE.decode().encode("utf-16")),
        ("gzip;q=1", gzip.compress(PAGE), PAGE), ('"GZIP"', gzip.compress(PAGE), PAGE),
        ("gzip, gzip", gzip.compress(gzip.compress(PAGE)), PAGE), ("gzip, gzip", gzip.compress(PAGE), PAGE),
        ("br, utf-8, gzip", gzip.compress(brotli.compress(PAGE)), PAGE),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_a_browser_shows_is_read_whatever_its_encoding_is_called(encoding, body, whole, size):
    assert decode(encoding, body, 10_000, size) == whole


def test_what_was_odd_is_said():
    decoder = Decoder("none, gzip", 1000)
    decoder.feed(PAGE)
    assert decoder.finish() == PAGE
    assert decoder.oddities == [
        "Content-Encoding 'none' names no packing",
        "the body is not compressed with 'gzip', though Content-Encoding says so",
    ]


@pytest.mark.parametrize(
    ("encoding", "body", "match"),
    [
        ("xz", b"\xfd7zXZ\0\0\1" * 9, "was not asked for"), ("gzip", bytes(range(256)), "."), ("br", b"\0\1\2", "."),
        ("gzip, gzip", gzip.compress(b"\x1f\x8b\x08nothing" * 9), "."), ("gzip, br, br, gzip", b"", "4 times"),
    ],
)  # fmt: skip
def test_what_no_browser_shows_is_broken(encoding, body, match):
    with pytest.raises(BrokenEncoding, match=match):
        decode(encoding, body, 10_000)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_further_members_are_part_of_the_body_and_what_follows_them_is_not(name, size):
    encoding, pack = CODECS[name]
    members = pack(b"") + pack(TEXT) + pack(b"and more") + pack(b"")
    for end in (b"", bytes(100), b"garbage", members[:1], b"\x1f\x8bgarbage" if name == "gzip" else b"(\xb5garbage"):
        assert decode(encoding, members + end, 100_000, size) == TEXT + b"and more"
    with pytest.raises(BrokenEncoding):
        decode(encoding, members + pack(TEXT)[:-9], 100_000, size)


def test_members_without_end_are_stopped_in_time():
    members = gzip.compress(b"") * 400_000
    with pytest.raises(TooLarge):
        decode("gzip", members, 1_000_000, 65_536)
    layers = gzip.compress(gzip.compress(bytes(60_000_000), 0))
    tracemalloc.start()
    with pytest.raises(TooLarge):  # the layer in between is 60 MB
        decode("gzip, gzip", layers, 1_000_000, 65_536)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_body_may_turn_out_to_be_one_that_may_be_larger():
    def larger(head: bytes) -> int:
        return 5_000 if head.startswith(b"list") else 0

    for encoding, pack in CODECS.values():
        for body, size in ((b"list" + TEXT, 5000), (b"list" + TEXT[:3000], 3004)):
            decoder = Decoder(encoding, 2000, larger=larger)
            decoder.feed(pack(body))
            assert decoder.finish() == body[:size]
        with pytest.raises(TooLarge):
            Decoder(encoding, 2000, larger=larger).feed(pack(TEXT))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(PACKED), st.integers(1, 50))
def test_random_bytes_are_a_body_or_broken(body, name, size):
    encoding, pack = CODECS[name]
    for data in (body, pack(b"start")[:12] + body):
        with contextlib.suppress(BrokenEncoding, TooLarge):
            assert len(decode(encoding, data, 10_000, size)) <= 10_000
