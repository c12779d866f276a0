"""sft/instructions.py: lists and lines are read, packed or not; each broken record keeps its place and reason."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
from pathlib import Path

import pytest

from tasks.stage import PermanentError
from tasks.training.sft.formats import Conversation
from tasks.training.sft.instructions import instruction_files, read_instructions

GOOD = {"instruction": "Say hi.", "input": "", "output": "hi"}
OTHER = {"instruction": "x", "input": "y", "output": "z"}
BOTH = [Conversation("Say hi.", "hi"), Conversation("x", "z", "y")]
LINES = (json.dumps(GOOD) + "\n\r\n" + json.dumps(OTHER)).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", json.dumps([GOOD, OTHER], indent=1).encode()),
        ("a.json", json.dumps({"version": 1, "data": [GOOD, OTHER]}, indent=1).encode()),
        ("a.jsonl", b"\xef\xbb\xbf" + LINES),
        ("a.jsonl.gz", gzip.compress(LINES)),
        ("a.json.xz", lzma.compress(json.dumps([GOOD, OTHER]).encode())),
        ("a.jsonl.bz2", bz2.compress(LINES)),
    ],
)
def test_a_list_and_lines_give_the_same(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert [record.found for record in read_instructions(tmp_path / name)] == BOTH


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    texts = ["next\x85line", "line\u2028separator", "para\u2029graph", "tab\x0bfeed\x0c"]
    rows = [{"instruction": "x", "output": text} for text in texts]
    (tmp_path / "a.jsonl").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).replace("\\u000b", "\u2028"), encoding="utf-8"
    )
    records = list(read_instructions(tmp_path / "a.jsonl"))
    assert [record.found is not None for record in records] == [True] * 4
    assert records[0].found == Conversation("x", texts[0])


def test_broken_records_say_where_and_why(tmp_path: Path) -> None:
    latin = json.dumps({"instruction": "Où ?", "output": "là"}, ensure_ascii=False).encode("cp1252")
    half = b'{"instruction": "a \\ud83d half", "output": "fine"}'
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([LINES, b"{half", b"[1, 2]", latin, half]))
    records = list(read_instructions(tmp_path / "a.jsonl"))
    assert [record.place for record in records] == [f"a.jsonl:{n}" for n in (1, 3, 4, 5, 6, 7)]
    assert [record.found is not None for record in records] == [True, True, False, False, False, False]
    assert records[2].reason.startswith("not valid JSON")
    assert records[2].raw == "{half"
    assert records[3].reason == "it is a list, not an object"
    assert records[4].reason.startswith("not UTF-8 (byte 0xf9 at 19); convert the file")
    assert "half a surrogate pair (U+D83D)" in records[5].reason
    for record in records:
        record.raw.encode()  # it can be written down


def test_files_that_cannot_be_read_as_a_whole(tmp_path: Path) -> None:
    for name, data, reason in (
        ("list.json", b"[{]", "not valid JSON"),
        ("latin.json", "[{“é”}]".encode("cp1252"), "not UTF-8"),
        ("cut.jsonl.gz", gzip.compress(LINES * 50)[:-20], "cannot be read"),
        ("deep.json", b"[" * 100_000, "not valid JSON"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PermanentError, match=reason):
            list(read_instructions(tmp_path / name))


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no file matches"):
        instruction_files([str(tmp_path / "*.json")])
    for name in ("a.json", "b [v2].json", "b v.json"):
        (tmp_path / name).write_text("[]")
    assert instruction_files([str(tmp_path / "b [v2].json")]) == [tmp_path / "b [v2].json"]
    assert instruction_files([str(tmp_path / "b [vw].json")]) == [tmp_path / "b v.json"]
    everything = [tmp_path / name for name in ("a.json", "b [v2].json", "b v.json")]
    assert instruction_files([str(tmp_path / "*.json"), str(tmp_path / "a.json")]) == everything


def test_a_file_of_utf16_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "wide.jsonl"
    path.write_bytes(json.dumps({"instruction": "Say", "output": "é"}, ensure_ascii=False).encode("utf-16"))
    (record,) = read_instructions(path)
    assert re.search(r"not UTF-8 \(byte 0xff at 1\).*iconv -f UTF-16 ", record.reason)


def test_tables_and_folders_of_datasets_are_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([GOOD, OTHER])
    (tmp_path / "a.csv").write_text("instruction,input,output\nSay hi.,,hi\nx,y,z\n")
    pq.write_table(table, tmp_path / "a.parquet")
    for split in ("train", "test"):
        (tmp_path / "saved" / split).mkdir(parents=True)
        for name in ("dataset_info.json", "state.json"):
            (tmp_path / "saved" / split / name).write_text("{}")
        path = str(tmp_path / "saved" / split / "data-00000-of-00001.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for split in ("train", "validation"):
        pq.write_table(table, tmp_path / "hub" / "data" / f"{split}-00000-of-00001.parquet")
    for name in ("a.csv", "a.parquet", "saved", "hub"):
        files = instruction_files([str(tmp_path / name)])
        assert len(files) == 1, "of a folder with splits, the training split alone"
        records = list(read_instructions(files[0]))
        assert [record.found for record in records] == BOTH, name
        assert [record.place for record in records] == [f"{files[0].name}#{number}" for number in (1, 2)]
    assert len(instruction_files([str(tmp_path / "saved" / "test")])) == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(PermanentError, match="no file matches"):
        instruction_files([str(tmp_path / "none")])


def test_a_broken_table_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(b"no arrow")
    with pytest.raises(PermanentError, match="no file of the library `datasets`"):
        list(read_instructions(tmp_path / "a.arrow"))
    (tmp_path / "a.csv").write_text("instruction,output\nSay hi.,\n")
    assert [record.reason for record in read_instructions(tmp_path / "a.csv")] == ["output is empty"]
