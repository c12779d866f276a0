"""What pages and headers declare."""

from __future__ import annotations

import pytest

from tasks.corpus.charsets.declared import charset_of, declared_in


@pytest.mark.parametrize(
    ("header", "charset"),
    [
        ("text/html; charset=UTF-8", "UTF-8"),
        ('text/html;charset="latin-1"', "latin-1"),
        ("text/html; charset=gb2312 gbk utf-8", "gb2312 gbk utf-8"),
        ("text/html; charset=utf-8; boundary=x", "utf-8"),
        ("text/html; charset=", None),
        ("text/html", None),
        (None, None),
    ],
)
def test_charset_of_a_header(header, charset):
    assert charset_of(header) == charset


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b'<meta charset="windows-1251">', ["windows-1251"]),
        (b"<META CHARSET = 'koi8-r' />", ["koi8-r"]),
        (b"<meta name=x charset=euc-kr>", ["euc-kr"]),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">', ["shift_jis"]),
        (b"<meta content=\"text/html; charset='big5'\" http-equiv=content-type>", ["big5"]),
        (b'<meta charset="gb2312 gbk utf-8">', ["utf-8", "gbk"]),
        (b'<?xml version="1.0" encoding="iso-8859-2"?><html>', ["iso-8859-2"]),
        (b"<!-- <meta charset=big5> --><meta charset=koi8-u>", ["koi8-u"]),
        (b"<!--><meta charset=koi8-u>", ["koi8-u"]),
        (b"<!-- <meta charset=big5>", []),
        (b'<meta name="description" content="how charset=big5 works">', []),
        (b'<meta data-x="charset=big5">', []),
        (b"<meta charset=utf-16><meta charset=utf-8>", ["utf-8", "utf-8"]),
        (b"<meta charset=x-user-defined>", ["windows-1252"]),
        (b"<!--" + b"x" * 9000 + b"--><meta charset=windows-1251>", ["windows-1251"]),
        (b"<meta charset", []),
    ],
)
def test_what_a_page_declares(head, names):
    assert list(declared_in(head)) == names


@pytest.mark.parametrize("piece", [b"<meta ", b"<meta '", b'<meta a="', b"<!--", b"<meta a=b ", b"<?xml "])
def test_a_hostile_head_declares_nothing(piece):
    """Each byte of the window is looked at a bounded number of times; quadratic, this would take minutes."""
    assert list(declared_in(piece * 200_000)) == []
