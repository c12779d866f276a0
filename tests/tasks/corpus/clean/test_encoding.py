"""Encodings: marks, declarations, lies and guesses."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.encoding import UNKNOWN, decode
from tasks.corpus.clean.page import clean_page

GERMAN = "Grüße aus Köln, schöne Straße"


@pytest.mark.parametrize(
    ("body", "declared", "text"),
    [
        (GERMAN.encode(), None, GERMAN),
        (GERMAN.encode("utf-8-sig"), "latin-1", GERMAN),
        (GERMAN.encode("utf-16"), None, GERMAN),
        (GERMAN.encode("utf-16-le"), "utf-16", GERMAN),
        (GERMAN.encode("latin-1"), "iso-8859-1", GERMAN),
        ("€ 5 – “x”".encode("cp1252"), "ISO-8859-1", "€ 5 – “x”"),
        (GERMAN.encode(), "us-ascii", None),
        (b'<meta charset="windows-1251">' + "Привет".encode("cp1251"), None, '<meta charset="windows-1251">Привет'),
        ("Привет, как дела?".encode("koi8-r"), "koi8-r", "Привет, как дела?"),
        ("日本語のテキスト".encode("shift_jis"), "x-sjis", "日本語のテキスト"),
        ("中文网页".encode("gbk"), "gb2312", "中文网页"),
        (GERMAN.encode(), "no-such-encoding", GERMAN),
        (GERMAN.encode("latin-1"), "utf-8", GERMAN),
        (GERMAN.encode("utf-32-le"), None, GERMAN),
        (GERMAN.encode("utf-32-be"), "utf-8", GERMAN),
        (GERMAN.encode("utf-32"), None, GERMAN),
        ("日本語のテキスト".encode("iso2022_jp"), None, "日本語のテキスト"),
        ("①～".encode("cp932"), "shift_jis", "①～"),
        ("Привет, как дела?".encode("mac-cyrillic"), "x-mac-cyrillic", "Привет, как дела?"),
        ("Привет, как дела?".encode("cp855"), "cp855", "Привет, как дела?"),  # no label of the web
        ("中文网页".encode("gbk"), "utf-8 gb2312", "中文网页"),  # a list is tried in its order
        ("中文网页".encode(), "gb2312 gbk utf-8", "中文网页"),
        (
            "中文网页，水车在河边转动，一家人收获了粮食。".encode("gbk")[:-1],
            "gb2312",
            "中文网页，水车在河边转动，一家人收获了粮食\ufffd",
        ),
        ("Grüße".encode("utf-16-be"), "utf-16be", "Grüße"),
        ("中文网页".encode("utf-16-le"), "utf-16", "中文网页"),
        (GERMAN.encode(), "utf-16", GERMAN),
        ("Müller für Bäcker".encode() + b", Gr\xfc\xdfe", "utf-8", "Müller für Bäcker, Gr\ufffd\ufffde"),
        (b"\x80 5, \x81", "windows-1252", "€ 5, \x81"),
    ],
)
def test_known_cases(body, declared, text):
    if text is not None:
        assert decode(body, declared)[0] == text
    else:
        decode(body, declared)


def test_one_broken_byte_does_not_turn_utf8_into_another_encoding():
    text = decode((GERMAN * 20).encode() + b"\xff", "utf-8")[0]
    assert text.startswith(GERMAN)


@pytest.mark.shared
def test_texts_of_all_encodings_are_read_as_well_as_by_the_best_detector(shared_data):
    """Files whose folder names their encoding. Of 213, charset-normalizer reads 208, resiliparse (uchardet) 205."""
    folder = shared_data / "12_cleaning_extras" / "chardet__chardet" / "tests"
    right, wrong = 0, []
    for path in sorted(folder.glob("*/*")):
        languages = "hungarian|polish|slovak|slovene|bulgarian|arabic|romanian|russian"
        label = re.sub(rf"-(?:{languages})$", "", path.parent.name.lower())
        if label == "euc-tw":  # nobody has a decoder
            continue
        body, name = path.read_bytes(), {"maccyrillic": "x-mac-cyrillic"}.get(label, label)
        text = decode(body, name)[0]
        same = decode(body, None, html=False)[0].lstrip("\ufeff") == text.lstrip("\ufeff")
        right += same
        wrong += [] if same else [f"{path.parent.name}/{path.name}"]
    assert right >= 212, wrong


def test_where_nothing_is_sure_no_encoding_is_named():
    text, name = decode(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 8, "utf-8")
    assert name == UNKNOWN
    assert text.startswith("\ufffd" * 4)


def test_a_page_that_no_encoding_explains_is_kept_aside_with_the_reason():
    body = b"<p>" + random.Random(7).randbytes(2000)
    page = clean_page(body, "text/html", "utf-8", None, CleanConfig())
    assert page.removal is not None
    assert page.removal.reason == "unknown_encoding"
    assert page.removal.value > 0.4


def test_one_byte_that_nothing_explains_costs_no_page():
    body = b"The mill is open on Sundays and closed on Mondays. " * 20 + b"caf\xe9\x00\x01\x02\xff"
    page = clean_page(body, "text/plain", None, None, CleanConfig())
    assert page.removal is None
    assert page.text.startswith("The mill is open")


@given(st.binary(max_size=200), st.sampled_from([None, "utf-8", "utf-16", "shift_jis", "utf-7", "hex", "idna", "\0"]))
def test_any_bytes_become_text(body, declared):
    text, name = decode(body, declared)
    assert isinstance(text, str)
    assert name
