"""Files of rows that are not in UTF-8."""

from __future__ import annotations

import io
import json

import pytest

from tasks.corpus.crawl.recoded import as_utf8
from tests.tasks.corpus.crawl.reading import contents

RUSSIAN = "Все люди рождаются свободными. Сегодня ясная погода, и мы сажаем в саду бобы и капусту."
KOREAN = "모든 사람은 태어날 때부터 자유롭고 서로 도우며 살아간다. 오늘은 날씨가 맑고 바람이 시원하다."
FRENCH = "Tous les êtres humains naissent libres et égaux en dignité et en droits, là où la forêt s’éveille."


@pytest.mark.parametrize(
    ("text", "codec"),
    [(RUSSIAN, "cp1251"), (RUSSIAN, "koi8_r"), (RUSSIAN, "cp866"), (RUSSIAN, "utf-16-le"), (RUSSIAN, "utf-16"),
     (KOREAN, "cp949"), (KOREAN, "johab"), (FRENCH, "cp1252"), ("日本語の文章です。今日はいい天気ですね。", "cp932")],
)  # fmt: skip
def test_rows_of_any_encoding(tmp_path, text, codec):
    tables = {
        "a.csv": "".join(f"{line}\n" for line in ("id,text", *(f'{n},"{text}"' for n in range(5)))),
        "a.tsv": "".join(f"{line}\n" for line in ("id\ttext", *(f"{n}\t{text}" for n in range(5)))),
        "a.jsonl": "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for _ in range(5)),
        "a.json": json.dumps([{"text": text}] * 5, ensure_ascii=False),
    }
    for name, table in tables.items():
        (tmp_path / name).write_bytes(table.encode(codec))
        assert contents(tmp_path / name) == [text.encode()] * 5, name


def test_one_row_of_another_encoding_leaves_the_others_alone(tmp_path):
    rows = [f'{number},"{RUSSIAN}"\n'.encode() for number in range(20)]
    rows[7] = "7,Grüße aus Köln\n".encode("latin-1")
    (tmp_path / "a.csv").write_bytes(b"".join([b"id,text\n", *rows]))
    found = contents(tmp_path / "a.csv")
    assert found[7] == "Grüße aus Köln".encode("latin-1")  # cleaning finds out what it is
    assert found[:7] + found[8:] == [RUSSIAN.encode()] * 19


@pytest.mark.parametrize(
    ("text", "codec"),
    [("水车在河边转动一家人收获了粮食", "gb18030"),
     ("日本語の文章です。今日はいい天気ですね", "cp932"), (KOREAN, "cp949"),
     (RUSSIAN, "cp1251"), ("水车在河边转动一家人收获了粮食", "utf-16-le"), ("日本語の文章です。", "iso2022_jp")],
)  # fmt: skip
def test_a_long_stream_is_cut_between_characters(text, codec):
    whole = (text * 40_000)[:600_001]
    stream = io.BufferedReader(io.BytesIO(whole.encode(codec)), 1 << 20)  # type: ignore[arg-type]
    assert as_utf8(stream).read().decode() == whole
