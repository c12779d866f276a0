"""Encodings: marks, declarations, lies and guesses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.clean.encoding import charset_of, decode

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
    """Files whose folder names their encoding. Of 213, chardet 7 reads 212, charset-normalizer 208, resiliparse 205."""
    folder = shared_data / "12_cleaning_extras" / "chardet__chardet" / "tests"
    right, wrong = 0, []
    for path in sorted(folder.glob("*/*")):
        languages = "hungarian|polish|slovak|slovene|bulgarian|arabic|romanian|russian"
        label = re.sub(rf"-(?:{languages})$", "", path.parent.name.lower())
        # Shift JIS is windows-31j wherever the web says it (WHATWG Encoding); Python has no EUC-TW
        codec = {"shift_jis": "cp932", "maccyrillic": "mac-cyrillic", "euc-tw": None}.get(label, label)
        if codec is None:
            continue
        body = path.read_bytes()
        same = decode(body, None, html=False)[0].lstrip("\ufeff") == body.decode(codec, "replace").lstrip("\ufeff")
        right += same
        wrong += [] if same else [f"{path.parent.name}/{path.name}"]
    assert right >= 210, wrong


@given(st.binary(max_size=200), st.sampled_from([None, "utf-8", "utf-16", "shift_jis", "utf-7", "hex", "idna", "\0"]))
def test_any_bytes_become_text(body, declared):
    text, name = decode(body, declared)
    assert isinstance(text, str)
    assert name


@pytest.mark.parametrize(
    ("header", "charset"),
    [
        ("text/html; charset=UTF-8", "UTF-8"),
        ('text/html;charset="latin-1"', "latin-1"),
        ("text/html", None),
        (None, None),
    ],
)
def test_charset_of_a_header(header, charset):
    assert charset_of(header) == charset
