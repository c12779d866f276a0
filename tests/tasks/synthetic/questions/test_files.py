"""tasks/synthetic/questions/files.py: what was written is read again, and files that break a rule are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact
from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem
from tasks.synthetic.questions import QuestionsConfig, questions
from tasks.synthetic.questions.files import (
    FACTS,
    HELLASWAG,
    MMLU,
    TEXTS,
    Asked,
    HeldOut,
    Seen,
    read_questions,
    write_questions,
)
from tests.tasks.pydoc_corpus import build_corpus, make

SENTENCE = HellaSwagItem(0, "mill", "The wheel", "turns", "The wheel turns", ("on", "back", "not"), 1, source_id="w~1")
QUESTIONS = [
    MmluItem("art", "What is it?", ("a", "b", "c", "水車"), 3),
    MmluItem("law", "Which?", ("1", "2", "3", "4"), 0),
]
ASKED = Asked(
    [
        HeldOut("1" * 16, "http://example.org/1", "example.org", "en", "a text"),
        HeldOut("2" * 16, None, "a.txt", None, "another\n\ntext"),
    ],
    [SENTENCE],
    QUESTIONS,
    {"art": [QUESTIONS[0]]},
    {"hellaswag": Seen([True], [1 / 3]), "mmlu": Seen([False, True], [0.0, 0.1 + 0.2])},
    {"hellaswag": 1, "mmlu": 14_042},
    {"xz": 2.105869535271061, "xz_primed": None},
)


def test_what_was_written_is_read_to_the_last_digit(tmp_path: Path) -> None:
    write_questions(tmp_path, ASKED)
    assert read_questions(tmp_path) == ASKED


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    return make(questions, lake, QuestionsConfig(max_items=8, priming_bytes=0), built).artifact


def _without(table: pa.Table, name: str) -> pa.Table:
    return table.drop_columns([name])


def _answered(table: pa.Table, name: str) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), [pa.array([7] * len(table), pa.int32())])


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (TEXTS, lambda table: table[:0], "texts.parquet is empty"),
        (TEXTS, lambda table: table[1:], "but the stage counted"),
        (HELLASWAG, lambda table: _without(table, "contaminated"), "hellaswag.parquet has the columns"),
        (HELLASWAG, lambda table: _answered(table, "label"), "whose answer is none of their choices, item 0 first"),
        (MMLU, lambda table: _answered(table, "answer"), "mmlu has 8 items whose answer"),
        (FACTS, lambda facts: facts | {"compression": {"xz": 0, "xz_primed": None}}, "xz are 0, no positive number"),
        (FACTS, lambda facts: facts | {"available": {"hellaswag": 8, "mmlu": 7}}, "mmlu has 8 items of 7"),
        (FACTS, lambda facts: {}, "cannot be checked"),
    ],
)
def test_files_that_break_a_rule_are_found(made: Artifact, tmp_path: Path, file: str, change: Any, words: str) -> None:
    assert questions.violations(made) == []
    for path in made.path.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if file == FACTS:
        (tmp_path / file).write_text(json.dumps(change(json.loads((tmp_path / file).read_text()))))
    else:
        pq.write_table(change(pq.read_table(tmp_path / file)), tmp_path / file)
    assert words in " ".join(questions.violations(Artifact(made.stage, made.key, tmp_path, made.manifest)))
