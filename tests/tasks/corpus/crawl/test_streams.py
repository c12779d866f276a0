"""Packed files as streams: every packing, damage that costs only what it hits, limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl.streams import open_unpacked

PACK = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
TEXT = b"\n".join(random.Random(n).randbytes(100).hex().encode() for n in range(3_000))


def unpack(folder: Path, data: bytes, limit: int = 10**9) -> tuple[bytes, str | None]:
    """What the stream gives, and its problem."""
    (folder / "file").write_bytes(data)
    with open_unpacked(folder / "file", limit) as stream:
        return stream.read(), stream.problem[0] if stream.problem else None


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bz2"])
def test_damage_leaves_no_memory_behind(tmp_path, kind):
    damaged = PACK[kind](TEXT)[:-20]
    unpack(tmp_path, damaged)
    tracemalloc.start()
    try:
        for _ in range(20):
            unpack(tmp_path, damaged)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", PACK)
def test_whole_files_and_files_one_after_another(tmp_path, kind):
    packed = PACK[kind](TEXT)
    assert unpack(tmp_path, packed) == (TEXT, None)
    assert unpack(tmp_path, packed + packed) == (TEXT + TEXT, None)


@pytest.mark.parametrize("kind", [kind for kind in PACK if kind != "plain"])
@pytest.mark.parametrize("cut", [0.2, 0.9, 0.999])
def test_of_a_cut_file_everything_in_front_of_the_cut_stays(tmp_path, kind, cut):
    packed = PACK[kind](TEXT)
    found, problem = unpack(tmp_path, packed[: int(len(packed) * cut)])
    assert problem == "broken_file"
    assert TEXT.startswith(found)
    if kind in ("gzip", "zstd"):  # 128 KB is a block of zstd; bz2 knows nothing smaller than 900 KB of text
        assert len(found) >= len(TEXT) * cut - 140_000
    if kind == "gzip":
        assert len(found) >= len(TEXT) * cut - 2_000


def test_a_short_cut_file_gives_its_lines_too(tmp_path):
    text = b"one\ntwo\nthree\n" + random.Random(1).randbytes(3_000)
    packed = gzip.compress(text)
    found, problem = unpack(tmp_path, packed[:-1_000])
    assert found.startswith(b"one\ntwo\nthree\n")
    assert problem == "broken_file"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_behind_a_damaged_member_the_next_goes_on(tmp_path, kind):
    members = [PACK[kind](random.Random(n).randbytes(3_000).hex().encode()) for n in range(5)]
    members[2] = members[2][:20] + bytes(400) + members[2][420:]
    found, problem = unpack(tmp_path, b"".join(members))
    assert problem == "broken_file"
    for number in (0, 1, 3, 4):
        assert found.count(random.Random(number).randbytes(3_000).hex().encode()) == 1


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_padding_with_zeros_is_no_damage(tmp_path, kind):
    assert unpack(tmp_path, PACK[kind](TEXT) + bytes(512)) == (TEXT, None)


@pytest.mark.parametrize("kind", [kind for kind in PACK if kind != "plain"])
def test_rubble_behind_the_end_is_told(tmp_path, kind):
    assert unpack(tmp_path, PACK[kind](TEXT) + b"rubble" * 9) == (TEXT, "broken_file")


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_ends_at_the_limit(tmp_path, kind):
    found, problem = unpack(tmp_path, PACK[kind](bytes(5_000_000)), limit=1_000_000)
    assert (len(found), problem) == (1_000_000, "file_too_large")
    assert unpack(tmp_path, PACK[kind](TEXT), limit=len(TEXT)) == (TEXT, None)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    kind=st.sampled_from(sorted(PACK)),
    at=st.integers(0, 400),
    byte=st.integers(0, 255),
    tail=st.binary(max_size=30),
)
def test_no_damage_raises(tmp_path_factory, kind, at, byte, tail):
    packed = bytearray(PACK[kind](TEXT[:300]))
    packed[at % len(packed)] = byte
    found, _ = unpack(tmp_path_factory.mktemp("fuzz"), bytes(packed) + tail, limit=10_000)
    assert len(found) <= 10_000
