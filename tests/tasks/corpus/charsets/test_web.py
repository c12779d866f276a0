"""Bytes to text by the web's tables; the right characters are those of the indexes of the WHATWG Encoding Standard."""

from __future__ import annotations

import pytest

from tasks.corpus.charsets.web import decode, decode_strictly, decoder


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        # NEC's row 13 and IBM's characters, which EUC-JP has on the web and in Python has not
        ("euc-jp", "ada1 adea ade2 fcfb fcfe a1c1 a1dd", "①㈱№￢＂～－"),
        ("euc-jp", "8ea7 8fb0a1 61", "ｧ丂a"),
        ("iso-2022-jp", "1b24422d211b2842 1b284a5c7e1b2842 1b2849311b2842 41", "①¥‾ｱA"),
        ("shift_jis", "8740 fa40 8160 80 5c", "①ⅰ～\x80\\"),
        ("big5", "f9d6 f9d9 f9fe 877a 8862 c6e7 a145 a3e1 9244", "碁墻￭㡵Ê̄ぁ‧€蔃"),
        ("gbk", "80 a3a0 a8bc 8139ee39", "€\u3000ḿ㐀"),
        ("gb18030", "81308130 a6d9 fe59", "\x80︐龴"),
        ("euc-kr", "c5ad 8141", "큼갂"),
        ("windows-874", "a1 80 81", "ก€\x81"),
        ("windows-1252", "80 85 81 9d", "€…\x81\x9d"),
        ("windows-1255", "ca e0", "\u05baא"),
        ("koi8-u", "ae be a4 b4", "ўЎєЄ"),
        ("iso-8859-8-i", "e0", "א"),
        ("macintosh", "db 80", "€Ä"),
        ("x-mac-cyrillic", "a2 ff", "Ґ€"),
        ("x-user-defined", "41 80 ff", "A\uf780\uf7ff"),
        ("ibm866", "80 f1", "Аё"),
        ("cp500", "c1 15 c2", "A\nB"),
    ],
)
def test_what_the_web_reads(name, data, text):
    assert decode(bytes.fromhex(data), name) == text


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("euc-jp", b"\xa4\xa2\xa4<p>", "あ\ufffd<p>"),  # half a pair takes no markup with it
        ("euc-jp", b"\xa4\xa2\xfd\xfd\xa4\xa2", "あ\ufffdあ"),  # a pair without a meaning is one
        ("big5", b"\xa4@\xff\xa4@", "一\ufffd一"),
        ("gbk", b"\xff<b>", "\ufffd<b>"),
        ("euc-kr", b"\xb0\xa1\xb0", "가\ufffd"),
        ("shift_jis", b"\x82\xa0\xfd\xa0", "あ\ufffd\ufffd"),
    ],
)
def test_what_has_no_meaning_is_replaced(name, data, text):
    assert decode(data, name) == text


def test_strictly_read_bytes_without_a_meaning_are_signs_of_another_encoding():
    assert decode_strictly(b"caf\xe9", "windows-1252") == "café"
    assert decode_strictly(b"\x81", "windows-1252") is None
    assert decode_strictly(b"\xa4\xa2\xff", "euc-jp") is None
    assert decode_strictly("\ufffd".encode(), "utf-8") == "\ufffd"


def test_a_stream_is_read_like_the_whole():
    for name, data in {
        "big5": b"\xf9\xd6\xa4@" * 50,
        "euc-jp": b"\xad\xa1\x8f\xb0\xa1" * 50,
        "gbk": b"\x80\xb0\xa1" * 50,
    }.items():
        step = decoder(name)
        pieces = [step(data[place : place + 7]) for place in range(0, len(data), 7)]
        assert "".join([*pieces, step(b"")]) == decode(data, name)
