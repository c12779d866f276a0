"""The encoding of bytes that declare none."""

from __future__ import annotations

import random

import pytest

from tasks.corpus.charsets.detect import detect, is_utf8_with_faults, marked

RUSSIAN = "Все люди рождаются свободными. Сегодня ясная погода, и мы сажаем в саду бобы и капусту. "
KOREAN = "모든 사람은 태어날 때부터 자유롭고 서로 도우며 살아간다. 오늘은 날씨가 맑고 바람이 시원하다. "
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι. Σήμερα ο καιρός είναι καλός και φυτεύουμε λάχανα. "
CHINESE = "水车在河边转动，一家人收获了粮食。今天天气很好，我们在园子里种豆子和白菜。"
CZECH = "Všichni lidé se rodí svobodní. Dnes je krásné počasí a na zahradě sázíme fazole a zelí. "


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        *((RUSSIAN, codec, name) for codec, name in [
            ("cp1251", "windows-1251"), ("koi8_r", "koi8-r"), ("cp866", "ibm866"), ("cp855", "cp855"),
            ("iso8859_5", "iso-8859-5"), ("mac_cyrillic", "x-mac-cyrillic"),
        ]),
        *((KOREAN, codec, name) for codec, name in [("cp949", "euc-kr"), ("johab", "johab")]),
        (GREEK, "cp737", "cp737"),
        (CZECH, "cp852", "cp852"),
        (CZECH, "cp1250", "windows-1250"),
    ],
)  # fmt: skip
def test_legacy_encodings(text, codec, name):
    assert detect(text.encode(codec)) == name


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (KOREAN.encode("iso2022_kr"), "iso2022_kr"),
        (CHINESE.encode("hz"), "hz-gb-2312"),
        ("日本語".encode("iso2022_jp"), "iso-2022-jp"),
        (RUSSIAN.encode("utf-16-le"), "utf-16le"),
        (RUSSIAN.encode("utf-16-be"), "utf-16be"),
        ("Grüße aus Köln".encode("utf-16-be"), "utf-16be"),
        (RUSSIAN.encode("utf-32-le"), "utf-32-le"),
        (b"in LaTeX ~{x} and in C ~{abc~}", None),
        (b"colours \x1b[31m and $ signs", None),
        (b"plain text", None),
        (b"one\ntwo\n", None),
        (b"x,y\n1,2\n3,4\n", None),
        ("x,y\n1,2\n3,4\n".encode("utf-16-le"), "utf-16le"),
        (b"", None),
        (bytes(1000), None),
    ],
)
def test_what_shows_itself(body, name):
    assert marked(body) == name


@pytest.mark.parametrize("body", [b"text\nt\n", b"y\nn\ny\nn\n", b"\ta\tb\n\n1\t2\n\n", b"a\r\nb\r\n"])
def test_short_lines_are_no_utf16(body):
    assert marked(body) is None


def test_chinese_in_utf16_without_a_mark():
    assert detect(CHINESE.encode("utf-16-le")) == "utf-16le"


def test_noise_is_of_no_encoding():
    noise = random.Random(7)
    letters = [*range(0x20, 0x7F), *range(0xA0, 0x100)]
    for size in (100, 1000, 20_000):
        assert detect(noise.randbytes(size)) is None
        assert detect(bytes(noise.choices(letters, k=size))) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [("It’s a nice day – isn’t it?", "windows-1252"), ("Today it is 20 °C outside.", "windows-1252"),
     ("Price: £5 only", "windows-1252"), ("Take 5 ½ cups of flour and bake it. " * 8, "windows-1252")],
)  # fmt: skip
def test_few_characters_are_of_an_encoding_of_the_web_rather_than_of_dos(text, name):
    assert detect(text.encode("cp1252")) == name


@pytest.mark.parametrize(
    ("body", "whether"),
    [
        ("Müller für Bäcker".encode() + b" Gr\xfc\xdfe", True),
        (CHINESE.encode()[:-1], True),
        ("Grüße aus Köln".encode("latin-1"), False),
        (CHINESE.encode("gbk"), False),
        (b"caf\xe9", False),
    ],
)
def test_utf8_with_faults(body, whether):
    assert is_utf8_with_faults(body) is whether


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("déjà vu", "cp1252", "windows-1252"),
        ("La città è più bella, perché", "cp1252", "windows-1252"),
        ("Det er to grader og is på øen, sagde Søren", "cp1252", "windows-1252"),
        ("25 °C and 5 µm ± 2 ×", "cp1252", "windows-1252"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250", "windows-1250"),
        ("Zażółć gęślą jaźń", "cp1250", "windows-1250"),
        ("Wszyscy ludzie rodzą się wolni i równi", "iso8859-2", "iso-8859-2"),
        ("The word привет means hello and спасибо thanks.", "cp1251", "windows-1251"),
        ("The word καλημέρα means good morning.", "cp1253", "windows-1253"),
    ],
)
def test_a_word_is_of_one_script(text, codec, name):
    assert detect(text.encode(codec)) == name
