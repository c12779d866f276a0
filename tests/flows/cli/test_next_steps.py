"""flows/cli/next_steps.py: what is printed after a run holds for what its graph has made, and can be typed as it is."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_lake.store.lake import Lake
from data_lake.tables.schemas import CLASSIFIED
from flows.cli.next_steps import listed, next_steps
from flows.graph.variants import graph_of
from flows.recipe.recipe import Recipe
from tests.lakes import commit, documents

PAGE = """Bread is made of flour and water.
Functions
_munge(text)
    Do what only the module itself is interested in.
dedent(text)
    Remove any common leading whitespace from every line's text."""


@pytest.fixture
def corpus(home: Path) -> None:
    texts = documents(PAGE)
    titled = texts.set_column(texts.schema.get_field_index("title"), "title", pa.array(["Python: module textwrap"]))
    held_out = titled.append_column("split", pa.array(["test"]))
    commit(Lake(home / "lake"), "decontaminate", {"documents/part-00000.parquet": held_out}, kind="Corpus")


def steps(until: tuple[str, ...] = (), **sections: Any) -> dict[str, str]:
    return dict(next_steps("mine.yaml", graph_of(Recipe.model_validate(sections)), until))


def test_a_model_that_answers_is_asked_about_a_page_that_was_held_out(corpus: None) -> None:
    found = steps()
    assert "plan mine.yaml" in found
    assert "generate pretrain 'Bread is made of flour and'" in found
    assert found["chat"] == "talk to the fine-tuned model"
    (asked,) = (command for command in found if command.startswith("generate sft"))
    assert "textwrap.dedent" in asked
    assert "--input" not in asked  # it did not learn to answer from a text
    assert found["up"].startswith("Prefect, MLflow and a page to chat on")
    assert not any(one.startswith("ask ") for one in found)
    assert not any(one.startswith("chat ") for one in found)
    learned = steps(preferences={}, dpo={"loss": "cpo"}, grpo={})
    assert "preferred" in learned["chat dpo"]
    assert "rewards" in learned["chat grpo"]
    assert next(iter(found)) == "up", "what is looked at first"
    (asking,) = (one for one in steps(index={}) if one.startswith("ask "))
    assert "textwrap.dedent" in asking
    (quoting,) = (one for one in steps(sft={"quotations": {"count": 4}}) if one.startswith("generate sft"))
    typed = subprocess.run(["bash", "-c", f"printf %s {quoting.split('--input ')[1]}"], capture_output=True, text=True)
    assert typed.stdout == "dedent(text)\n    Remove any common leading whitespace from every line's text."


def test_nothing_is_said_about_what_was_not_made(corpus: None) -> None:
    for found in (
        steps(until=("tokenize",)),
        steps(pretrain={"model": {"network": "encoder"}}),
        steps(variants={"a": {}, "b": {"pretrain": {"model": {"network": "encoder"}}}}, sft=None),
    ):
        assert not {verb.split()[0] for verb in found} & {"generate", "chat", "classify"}
        assert found["up"] == "Prefect and MLflow, in the browser"
    assert "show evaluate_encoder" in steps(pretrain={"model": {"network": "encoder"}})


def test_a_classifier_is_asked_about_a_text_that_it_was_tested_on(corpus: None, home: Path) -> None:
    row = {"place": "a#1", "label": "ham", "named": "ham", "probability": 0.9, "correct": True}
    rows = [{**row, "text": text} for text in ("short", "Don't you come\nto dinner at eight tonight?")]
    commit(Lake(home / "lake"), "classify", {"classified.parquet": pa.Table.from_pylist(rows, CLASSIFIED)},
           kind="Classifier")  # fmt: skip
    (command,) = (one for one in steps(classify={}) if one.startswith("classify"))
    assert shlex.split(command)[1] == "Don't you come to dinner at eight tonight?"
    assert not any(one.startswith("classify") for one in steps())


def test_a_long_command_stands_below_what_it_shows() -> None:
    lines = list(listed([("artifacts", "what is there"), ("up", "pages"), ("classify " + "x" * 99, "a label")], "t"))
    assert lines == ["  t artifacts  what is there", "  t up         pages", "  a label:", f"    t classify {'x' * 99}"]
