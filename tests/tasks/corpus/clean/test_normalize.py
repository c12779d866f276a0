"""Text repair: known cases, and properties that hold for any text.

Also covers: tasks/corpus/clean/mojibake.py
"""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.mojibake import _repair, _suspicious
from tasks.corpus.clean.normalize import SensitiveWords, normalize
from tasks.corpus.clean.text_config import NormalizeConfig

PLAIN = CleanConfig(normalize=NormalizeConfig(repair=False))
REPAIR = CleanConfig()

any_text = st.text(st.characters(codec=None), max_size=80) | st.text(
    "a \t\n\r\x0b\x85\u00a0\u200b\u2028\ufeff\x00é", max_size=40
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\u00a0b\u2003c", "a b c"),
        ("soft\u00adhyphen and\u200bzero", "softhyphen andzero"),
        ("  indented\n    more  \nend", "  indented\n    more\nend"),
        ("one\n\n\n\ntwo", "one\n\ntwo"),
        ("\n\n  code\n", "  code"),
        ("cell \t\t cell\n\tcode", "cell\tcell\n\tcode"),
        ("e\u0301", "é"),
        ("bell\x07 null\x00", "bell null"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        # the end of a word in scripts without blanks
        ("ខ្ញុំ\u200bចូលចិត្ត\u200b\u200bអាន\u200b", "ខ្ញុំ\u200bចូលចិត្ត\u200bអាន"),
        ("မြစ်\u200bကမ်း\u200bABC", "မြစ်\u200bကမ်း\u200bABC"),
        ("โรงสี\u200bเก่า ", "โรงสี\u200bเก่า"),
        ("zero\u200b width\u200b\nไทย\u200b\nbreak", "zero width\nไทย\nbreak"),
        # what terminals show as colours, titles and links
        ("\x1b[31mred é\x1b[0m \x1b[1;38;5;208mbold\x1b[m \x1b[2K\x1b[10;5Hend", "red é bold end"),
        ("\x1b]0;title\x07text \x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", "text link"),
        ("array[3m] and [0m stay", "array[3m] and [0m stay"),
    ],
)
def test_whitespace_and_characters(text, expected):
    assert normalize(text, PLAIN) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schÃ¶n", "schön"),
        ("The Mona Lisa doesnâ€™t have eyebrows.", "The Mona Lisa doesn’t have eyebrows."),
        ("<p> stays &lt;p&gt;", "<p> stays &lt;p&gt;"),
        ("“quoted” ﬁt Ｆｕｌｌ", "“quoted” ﬁt Ｆｕｌｌ"),
        ("plain\nschÃ¶n", "plain\nschön"),
        # the … of windows-1252, no end of a line
        ("Wait\x85 the mill\x85 is shut\x85", "Wait… the mill… is shut…"),
        ("\x93Come in\x94, \x9bsaid\x9b", "“Come in”, ›said›"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"),
        ("DOS AÃ‘OS, ESPAÃ‘A", "DOS AÑOS, ESPAÑA"),
        ("Â© 2004, 20 Â°C", "© 2004, 20 °C"),
        # what is in doubt alone is not where other places are sure
        ("GRÃ–SSE", "GRÃ–SSE"),
        ("GRÃ–SSE\nund schÃ¶n", "GRÖSSE\nund schön"),
    ],
)
def test_mojibake_is_undone_and_nothing_else(text, expected):
    assert normalize(text, REPAIR) == expected


@pytest.mark.parametrize(
    "text",
    [
        "AMANHÃ–DEPOIS E MAÇÃ—VERDE, IRMÃ», MANHÃ« x",
        "ATÉ AMANHÃ… DISSE A IRMÃ “BOA” E A CAMPEÃ® TAMBÉM",
        "A IRMÃ DE JOÃO; ROMÃ’S, LÃ ”X”",
        "à la “Ã”, die Buchstaben „Ã“ und ‘Â’",
        "de manhã…” disse a irmã”— e maçã»…",
        "À « gauche », Â « droite »",
        "ÞAÐ ER GÓÐ MYLLA VIÐ Á; ÍSLENSKT Ð®",
        "MAÑANA “ESPAÑA” – NIÑ@S Ñ© Ñ®",
        "If you see â€™ instead of ’ or Ã© instead of é, the file was read as Windows-1252.",
        "ŻÓŁW — GĘŚ, „DOM” Ż«",
        "ΜΎΛΟΣ «ΠΟΤΆΜΙ» Ά– Ή”",
    ],
)
def test_correct_text_that_looks_misread_stays(text):
    assert normalize(text, REPAIR) == text


def test_next_line_is_a_line_end_where_nothing_is_repaired():
    assert normalize("a\x85b", PLAIN) == "a\nb"


def test_replacements_come_in_order():
    config = CleanConfig(replace=(("0x[0-9a-f]+", "0x…"), ("0x…>", "somewhere>")))
    assert normalize("<object at 0x7f12ab>", config) == "<object at somewhere>"


@given(any_text)
def test_normal_text_stays_as_it_is(text):
    once = normalize(text, PLAIN)
    assert normalize(once, PLAIN) == once


@given(any_text)
@settings(max_examples=50)
def test_the_result_is_clean_whatever_comes_in(text):
    clean = normalize(text, REPAIR)
    clean.encode("utf-8")
    assert unicodedata.is_normalized("NFC", clean)
    assert "\r" not in clean
    assert "\n\n\n" not in clean
    assert not clean.startswith("\n")
    assert not clean.endswith("\n")
    assert all(line == line.rstrip(" \t") for line in clean.split("\n"))
    assert all(unicodedata.category(character) != "Cc" for character in clean if character not in "\n\t")


def switched(text: str, **switches: object) -> str:
    return normalize(text, CleanConfig(normalize=NormalizeConfig(**switches)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("switches", "text", "expected"),
    [
        ({"emoji": "text"}, "fine 🙂 👩‍🚒 ©", "fine :slightly_smiling_face: :woman_firefighter: ©"),
        ({"emoji": "remove"}, "fine🙂!", "fine!"),
        ({"emoji": "keep"}, "fine 🙂", "fine 🙂"),
        ({"lowercase": True}, "ÉCOLE und STRASSE", "école und strasse"),
        ({"compose": False}, "e\u0301", "e\u0301"),
        ({"whitespace": False}, "a\r\n\n\n\nb \t", "a\r\n\n\n\nb \t"),
        ({"whitespace": False}, "cafÃ©\r\n🙂🙂\r\n\u2028", "café\r\n🙂🙂\r\n\u2028"),
        ({"whitespace": False, "repair": False}, "lone \ud800 surrogate", "lone  surrogate"),
        ({"repair": False}, "schÃ¶n", "schÃ¶n"),
    ],
)
def test_each_switch(switches, text, expected):
    assert switched(text, **switches) == expected


def test_sensitive_words_from_a_list_and_a_file(tmp_path):
    (tmp_path / "clients.txt").write_text("Müller & Söhne\n王小明\n", "utf-8")
    words = SensitiveWords(
        NormalizeConfig(
            sensitive_words=("acme corp",), sensitive_files=(str(tmp_path / "*.txt"),), sensitive_replacement="X"
        )
    )
    assert words.replace("ACME Corp. and müller & söhne, 王小明。") == ("X. and X, X。", 3)


def test_ftfy_is_given_every_line_that_it_can_repair():
    """The other lines it leaves as they are; the test goes through ways in which UTF-8 is misread."""
    for text in ("schön", "l’été", "“quoted”", "naïve café", "Ünïcödé", "à la carte", "日本語", "привет", "ß"):
        for codec in ("latin-1", "cp1252", "cp1251", "cp1250", "mac_roman", "cp437"):
            try:
                broken = text.encode().decode(codec)
            except UnicodeDecodeError:
                continue
            for line in (broken, broken.replace("\xa0", " "), f"words before {broken} and after"):
                assert _suspicious().search(line) or _repair(line) == line, (text, codec, line)


@pytest.mark.parametrize("unit", [" ", "\t", " \t", "\n", "\n ", "é ", "Ã©", "\u00a0", "🙂", "\u2028"])
def test_the_time_is_linear_in_hostile_texts(unit):
    def seconds(count: int) -> float:
        text = "x" + (unit * count)[:count] + "x"
        started = time.process_time()
        switched(text, emoji="text")
        return time.process_time() - started

    seconds(100)
    small, large = (min(seconds(count) for _ in range(3)) for count in (4_000, 40_000))
    assert large < 40 * max(small, 0.005), f"{small:.3f} s for 4,000 characters, {large:.3f} s for 40,000"
