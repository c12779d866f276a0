"""tasks/benchmarks/stage.py: official files in every format become items; every row is accounted for.

Also covers: tasks/benchmarks/config.py
Also covers: tasks/benchmarks/files.py
Also covers: tasks/benchmarks/items.py
Also covers: tasks/benchmarks/preflight.py
Also covers: tasks/benchmarks/reading.py
Also covers: tasks/benchmarks/store.py
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.benchmarks import BenchmarksConfig, benchmarks
from tasks.benchmarks.base import Item
from tasks.benchmarks.store import benchmarks_in, files_in, problems_in, read_items
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts

PIQA = [{"goal": f"To do {n}", "sol1": f"Do {n}.", "sol2": "Do not.", "label": n % 2} for n in range(4)]
MMLU = "What is {0}?,a,b,c,d,{1}\n"


def config_of(path: Path | str, name: str = "piqa", **more: Any) -> BenchmarksConfig:
    return BenchmarksConfig.model_validate({"files": {name: {"path": str(path), **more}}, "shots": [name]})


def built(lake: Lake, config: BenchmarksConfig) -> Artifact:
    return benchmarks.build(lake, config, {}).artifact


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def plain(items: list[Item]) -> list[tuple[object, ...]]:
    return [(item.contexts, item.choices, item.gold) for item in items]


def as_arrow(path: Path) -> None:
    """As `datasets` writes it with save_to_disk."""
    folder = path / "validation"
    folder.mkdir()
    table = pa.Table.from_pylist(PIQA)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as to,
    ):
        to.write_table(table)
    (folder / "state.json").write_text("{}")
    (folder / "dataset_info.json").write_text("{}")
    (path / "dataset_dict.json").write_text('{"splits": ["validation"]}')


def as_feather(path: Path) -> None:
    table = pa.Table.from_pylist(PIQA)
    with pa.OSFile(str(path / "valid.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as to:
        to.write_table(table)


def as_csv(path: Path) -> None:
    rows = "".join(f'{row["goal"]},"{row["sol1"]}",{row["sol2"]},{row["label"]}\r\n' for row in PIQA)
    (path / "piqa_val.csv").write_bytes(b"\xef\xbb\xbfgoal,sol1,sol2,label\r\n" + rows.encode())


FORMATS = {
    "jsonl": lambda path: (path / "valid.jsonl").write_text(lines(PIQA)),
    "crlf": lambda path: (path / "valid.jsonl").write_bytes(
        b"\xef\xbb\xbf" + lines(PIQA).replace("\n", "\r\n").encode()
    ),
    "packed": lambda path: (path / "dev.jsonl.gz").write_bytes(gzip.compress(lines(PIQA).encode())),
    "json": lambda path: (path / "validation.json").write_text(json.dumps(PIQA, indent=1)),
    "csv": as_csv,
    "parquet": lambda path: pq.write_table(pa.Table.from_pylist(PIQA), path / "validation-00000-of-00001.parquet"),
    "arrow": as_arrow,
    "feather": as_feather,
}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_items(form: str, lake: Lake, tmp_path: Path) -> None:
    FORMATS["jsonl"](tmp_path)
    expected = plain(read_items(built(lake, config_of(tmp_path / "valid.jsonl")).path, "piqa", "asked"))
    assert len(expected) == 4
    folder = tmp_path / "official"
    folder.mkdir()
    FORMATS[form](folder)
    (folder / "README.md").write_text("not rows")
    made = built(lake, config_of(folder))
    assert plain(read_items(made.path, "piqa", "asked")) == expected
    assert made.counts["piqa_rows"] == made.counts["items"] == 4


def test_the_split_is_told_by_names_and_shots_come_from_train(lake: Lake, tmp_path: Path) -> None:
    for name, count in (("train.jsonl", 4), ("valid.jsonl", 2), ("tests.jsonl", 3)):
        (tmp_path / name).write_text(lines(PIQA[:count]))
    made = built(lake, config_of(tmp_path))
    assert [len(read_items(made.path, "piqa", part)) for part in ("asked", "shots")] == [2, 4]
    assert benchmarks_in(made.path) == ["piqa"]
    given = built(lake, config_of(tmp_path / "valid.jsonl", shots_path=str(tmp_path / "tests.jsonl")))
    assert [len(read_items(given.path, "piqa", part)) for part in ("asked", "shots")] == [2, 3]
    unasked = config_of(tmp_path).model_copy(update={"shots": ()})
    assert not read_items(built(lake, unasked).path, "piqa", "shots")


def test_a_collection_has_a_folder_for_each_part(lake: Lake, tmp_path: Path) -> None:
    for part, word in (("ARC-Easy", "easy"), ("ARC-Challenge", "hard")):
        (tmp_path / part).mkdir()
        choices = {"text": ["x", "y"], "label": ["A", "B"]}
        row = {"id": "1", "question": f"How {word}?", "choices": choices, "answerKey": "A"}
        (tmp_path / part / f"{part}-Test.jsonl").write_text(lines([row]))
    for name, word in (("arc_easy", "easy"), ("arc_challenge", "hard")):
        (item,) = read_items(built(lake, config_of(tmp_path, name)).path, name, "asked")
        assert item.question == f"How {word}?"


def test_the_two_halves_of_mnli_are_told_by_names(lake: Lake, tmp_path: Path) -> None:
    for name, said in (("dev_matched.tsv", "near"), ("dev_mismatched.tsv", "far"), ("test_matched.tsv", "hidden")):
        text = f"index\tsentence1\tsentence2\tgold_label\n0\tIt is {said}.\tIt was.\tneutral\n"
        (tmp_path / name).write_text(text)
    (tmp_path / "SOURCE.txt").write_text("not rows either")
    for name, said in (("mnli", "near"), ("mnli_mismatch", "far")):
        (item,) = read_items(built(lake, config_of(tmp_path, name)).path, name, "asked")
        assert f"It is {said}." in item.question


def test_mmlus_subjects_are_told_by_names(lake: Lake, tmp_path: Path) -> None:
    for split, count in (("dev", 1), ("test", 2), ("val", 3)):
        (tmp_path / split).mkdir()
        for subject in ("anatomy", "high_school_us_history"):
            rows = "".join(MMLU.format(f"{subject} {n}", "ABCD"[n]) for n in range(count))
            (tmp_path / split / f"{subject}_{split}.csv").write_text(rows)
    made = built(lake, config_of(tmp_path, "mmlu"))
    asked = read_items(made.path, "mmlu", "asked")
    assert [item.subject for item in asked] == ["anatomy"] * 2 + ["high_school_us_history"] * 2
    assert [item.subject for item in read_items(made.path, "mmlu", "shots")] == ["anatomy", "high_school_us_history"]
    hub = tmp_path / "hub" / "anatomy"
    hub.mkdir(parents=True)
    row = {"question": "What?", "choices": ["a", "b", "c", "d"], "answer": 2}
    pq.write_table(pa.Table.from_pylist([row]), hub / "test-00000-of-00001.parquet")
    (item,) = read_items(built(lake, config_of(tmp_path / "hub", "mmlu")).path, "mmlu", "asked")
    assert (item.subject, item.gold) == ("anatomy", (2,))


def test_what_is_no_item_is_counted_with_its_file_row_and_reason(lake: Lake, tmp_path: Path) -> None:
    good = json.dumps(PIQA[0]).encode()
    broken = [
        good,
        b'{"goal": "no end',
        json.dumps({**PIQA[1], "label": 7}).encode(),
        json.dumps({**PIQA[1], "sol2": "  "}).encode(),
        json.dumps({"query": "another format"}).encode(),
        b"[1, 2]",
        good.replace(b"To do 0", b"To d\xff 0"),
        good,
        json.dumps({**PIQA[3], "goal": "Über die Brücke"}, ensure_ascii=False).encode(),
    ]
    (tmp_path / "valid.jsonl").write_bytes(b"\n".join(broken) + b"\n")
    made = built(lake, config_of(tmp_path))
    found = list(problems_in(made.path))
    reasons = {row["row"]: row["reason"] for row in found}
    assert set(reasons) == {2, 3, 4, 5, 6, 7, 8}
    for number, said in {
        2: "not JSON", 3: "label is 7", 4: "sol2 is empty", 5: "no field goal; its fields are query", 6: "no object",
        7: "not UTF-8", 8: "asks the same as row 1 of valid.jsonl",
    }.items():  # fmt: skip
        assert said in reasons[number]
    assert {row["file"] for row in found} == {"valid.jsonl"}
    assert [row["row"] for row in found if not row["left_out"]] == [8]
    counts = {name: made.counts[f"piqa_{name}"] for name in ("rows", "left_out", "duplicates")}
    assert counts == {"rows": 9, "left_out": 6, "duplicates": 1}
    assert len(read_items(made.path, "piqa", "asked")) == 3
    assert list(problems_in(made.path, ["mmlu"])) == []


def test_a_file_in_another_encoding_is_read_and_said(lake: Lake, tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16"):
        path = tmp_path / f"valid-{encoding}.jsonl"
        rows = [{**row, "goal": f"Die Brücke über den Fluß {row['goal']} für die Bäcker"} for row in PIQA]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding=encoding)
        made = built(lake, config_of(path))
        assert [item.question for item in read_items(made.path, "piqa", "asked")] == [row["goal"] for row in rows]
        (problem,) = problems_in(made.path)
        assert (problem["row"], problem["left_out"]) == (0, False)
        assert "is not UTF-8; it is read as" in problem["reason"]


def test_rows_of_a_table_that_are_none_do_not_move_the_others(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    rows = ['"What, ""now""?",a,b,c,d,A', "too,few,D", "What?,a,b,c,d,E", "Why?,a,,c,d,A", "How?,a,b,c,d,D"]
    (tmp_path / "test" / "art_test.csv").write_text("\r\n".join(rows) + "\r\n")
    made = built(lake, config_of(tmp_path, "mmlu"))
    assert [item.question for item in read_items(made.path, "mmlu", "asked")] == ['What, "now"?', "How?"]
    assert [row["row"] for row in problems_in(made.path)] == [2, 3, 4]
    assert made.counts["rows"] == 5


def test_values_of_an_unnamed_table_are_as_they_are_written(lake: Lake, tmp_path: Path) -> None:
    """The first row too, also if it is repeated, and spaces at either end of a choice."""
    (tmp_path / "test").mkdir()
    first = '" What, now?\n",4 , 5,"6, or so",20,A\n'
    (tmp_path / "test" / "art_test.csv").write_text(first + MMLU.format("that", "B") + "\n" + first)
    (tmp_path / "test" / "law_test.csv").write_text("question,A,B,C,D,answer\n" + MMLU.format("law", "C"))
    made = built(lake, config_of(tmp_path, "mmlu"))
    items = read_items(made.path, "mmlu", "asked")
    assert [item.question for item in items] == [" What, now?\n", "What is that?", " What, now?\n", "What is law?"]
    assert items[0].facts["choices"] == ["4 ", " 5", "6, or so", "20"]
    assert (made.counts["mmlu_rows"], made.counts["mmlu_duplicates"]) == (4, 1)


def test_lines_of_text_are_passages(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "lambada_test_plain_text.txt").write_bytes(
        b"he saw the door\n\nshe " + b"\xff\n" + "they heard a söund\n".encode()
    )
    made = built(lake, config_of(tmp_path / "lambada_test_plain_text.txt", "lambada_openai"))
    assert [item.choices[0] for item in read_items(made.path, "lambada_openai", "asked")] == [" door", " söund"]
    reasons = [(row["part"], row["reason"]) for row in problems_in(made.path)]
    assert reasons[:2] == [("asked", "it is empty"), ("asked", "it has bytes that are not UTF-8")]
    assert [part for part, _ in reasons[2:]] == ["shots"] * 2  # shots are drawn from the same file
    assert (made.counts["lambada_openai_rows"], made.counts["lambada_openai_shots_left_out"]) == (4, 2)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_text(lines([{"goal": "x"}])), "No row of piqa is an item .row 1 of valid.jsonl"),
        (lambda path: path.write_text(""), "No row of piqa is an item; correct"),
    ],
)
def test_a_file_without_any_item_stops_the_run(write: Any, said: str, lake: Lake, tmp_path: Path) -> None:
    write(tmp_path / "valid.jsonl")
    with pytest.raises(PermanentError, match=said):
        benchmarks(config_of(tmp_path / "valid.jsonl"), local_output(tmp_path / "out"))


def test_a_damaged_file_stops_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "valid.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(PermanentError, match=r"valid\.parquet cannot be read"):
        benchmarks(config_of(tmp_path / "valid.parquet"), local_output(tmp_path / "out"))
    (tmp_path / "valid.txt").write_text("a line\n")
    with pytest.raises(PermanentError, match="is no file of piqa"):
        benchmarks(config_of(tmp_path / "valid.txt"), local_output(tmp_path / "out"))


def test_the_plan_says_what_is_not_there(lake: Lake, tmp_path: Path) -> None:
    def faults(config: BenchmarksConfig) -> list[tuple[str, str]]:
        return [(fault.field, fault.reason) for fault in benchmarks.check(config, Facts({}, lake))]  # type: ignore[misc]

    ((field, reason),) = faults(config_of(tmp_path / "none.jsonl"))
    assert field == "questions.benchmarks.piqa.path"
    assert "there is no file of rows" in reason
    ((field, reason),) = faults(config_of(tmp_path, "helaswag"))
    assert (field, "There is no benchmark 'helaswag'" in reason) == ("questions.benchmarks.helaswag", True)
    ((field, reason),) = faults(BenchmarksConfig.model_validate({"files": {"piqa": {}}}))
    assert (field, "No file is named" in reason) == ("questions.benchmarks.piqa.path", True)
    (tmp_path / "valid.jsonl").write_text(lines(PIQA))
    ((field, reason),) = faults(config_of(tmp_path / "valid.jsonl"))
    assert field == "questions.benchmarks.piqa.shots_path"
    assert "come from its train split, but no file has it" in reason
    assert faults(config_of(tmp_path / "valid.jsonl").model_copy(update={"shots": ()})) == []
    assert "Did you mean hellaswag?" in faults(config_of(tmp_path, "helaswag"))[0][1]


def test_rows_that_are_no_items_are_said_before_the_run_and_a_file_without_items_stops_it(
    lake: Lake, tmp_path: Path
) -> None:
    def faults(text: str) -> list[tuple[str, bool]]:
        (tmp_path / "valid.jsonl").write_text(text)
        config = config_of(tmp_path / "valid.jsonl").model_copy(update={"shots": ()})
        return [(one.reason, one.stops) for one in benchmarks.check(config, Facts({}, lake))]  # type: ignore[misc]

    some = "2 of 6 rows of piqa will be left out; the first is row 5 of valid.jsonl: it has no field sol1"
    ((reason, stops),) = faults(lines([*PIQA, {"goal": "?"}, {"goal": "!"}]))
    assert (reason.startswith(some), stops) == (True, False)
    ((reason, stops),) = faults('{"question": "another benchmark"}\n')
    assert reason.startswith("No row of piqa is an item: row 1 of valid.jsonl: it has no field")
    assert stops
    assert faults("") == [("No row of piqa is an item, as the files are empty.", True)]


def test_another_content_is_another_artifact_and_the_same_is_found(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "valid.jsonl"
    path.write_text(lines(PIQA))
    first = built(lake, config_of(path))
    assert built(lake, config_of(path)).key == first.key
    path.write_text(lines(PIQA[:3]))
    assert built(lake, config_of(path)).key != first.key


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server of the folder `web`."""
    (tmp_path / "web").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "web"))

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


def test_a_url_is_fetched(server: str, lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "web" / "valid.jsonl").write_text(lines(PIQA))
    made = built(lake, config_of(f"{server}/valid.jsonl"))
    assert (made.counts["items"], made.counts["left_out"]) == (4, 0)
    assert not list(made.path.rglob("*.part"))
    data = lines(PIQA).encode()
    known = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    asked = {"benchmark": "piqa", "part": "asked"}
    assert files_in(made.path) == [{**asked, "place": f"{server}/valid.jsonl", **known}]
    signed = config_of(f"{server.replace('//', '//me:secret@')}/valid.jsonl?key=secret")
    benchmarks(signed, local_output(tmp_path / "signed"))
    assert files_in(tmp_path / "signed") == files_in(made.path)  # nothing secret is kept
    with pytest.raises(PermanentError, match=r"none\.jsonl cannot be fetched"):
        benchmarks(config_of(f"{server}/none.jsonl"), local_output(tmp_path / "out"))
