"""Labels of encodings: the web's, Python's, and lists of them."""

from __future__ import annotations

import pytest

from tasks.corpus.charsets.labels import name_of, names_in


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("ISO-8859-1", "windows-1252"),
        (" latin1 ", "windows-1252"),
        ("iso-8859-9", "windows-1254"),
        ("tis-620", "windows-874"),
        ("iso-8859-11", "windows-874"),
        ("gb2312", "gbk"),
        ("x-sjis", "shift_jis"),
        ("ks_c_5601-1987", "euc-kr"),
        ("logical", "iso-8859-8-i"),
        ("koi8-ru", "koi8-u"),
        ("cp932", "shift_jis"),  # no label of the web, but what Python and detectors call it
        ("cp949", "euc-kr"),
        ("iso8859_15", "iso-8859-15"),
        ("hz-gb-2312", "hz-gb-2312"),
        ("cp855", "cp855"),
        ("johab", "johab"),
        ("utf-7", None),
        ("hex", None),
        ("idna", None),
        ("none", None),
        ("", None),
        ("\0", None),
    ],
)
def test_name_of_a_label(label, name):
    assert name_of(label) == name


def test_a_list_names_each_encoding_once_in_its_order_but_utf8_first():
    assert names_in("gb2312 gbk utf-8") == ["utf-8", "gbk"]
    assert names_in("big5 gbk") == ["big5", "gbk"]
    assert names_in("nonsense, UTF-8; big5") == ["utf-8", "big5"]
    assert names_in(None) == []
