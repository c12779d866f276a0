"""`textmill ask`: the pages stand beside the answer, and what no page says is not answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.retrieval.index import IndexConfig, index
from tasks.training.trained import CHAT_TEMPLATE
from tests.flows.cli.untrained import untrained
from tests.tasks.retrieval.lakes import PAGES, TextsConfig, decontaminate
from tests.terminal import data, notes, textmill

QUESTION = "Why does the river push the wheel?"


@pytest.fixture
def pages(home: Path) -> Artifact:
    store = Lake(home / "lake")
    corpus = decontaminate.build(store, TextsConfig(), {}).artifact
    return index.build(store, IndexConfig(passage_words=12, workers=1), {"corpus": corpus}).artifact


def test_an_answer_names_its_pages(home: Path, pages: Artifact) -> None:
    model = untrained(home, CHAT_TEMPLATE, context=400)
    said = textmill("ask", QUESTION, "--max-tokens", "5")
    assert "[1] About: mill  http://example.org/mill\n" in said
    assert "published 2024-05, fetched 2026-01-02, characters 43 to 96" in said
    beside = " ".join(notes("ask", QUESTION, "--max-tokens", "5").split())
    assert "in these passages word for word." in beside
    assert "Mean log-probability:" in beside

    told = data("ask", QUESTION, "--max-tokens", "5", "--passages", "1")
    assert (told["model"], told["index"], told["question"]) == (model.name, pages.name, QUESTION)
    assert len(told["answer"]) > 0
    assert told["mean_log_prob"] < 0
    (source,) = told["sources"]
    assert PAGES["mill"][source["start"] : source["end"]] == source["text"]
    assert source["is_quoted"] is told["is_quotation"] is False
    written = data("generate", model.name, QUESTION, "--input", source["text"].strip(), "--max-tokens", "5")
    assert written[0]["text"] == told["answer"], "the passage is the input of the question"


def test_an_answer_that_stands_in_a_page_is_said_to(
    home: Path, pages: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of a trained model: one whose tokens are those of a passage."""
    from tasks.delivery.generation import Writer

    untrained(home, CHAT_TEMPLATE, context=400)
    monkeypatch.setattr(Writer, "_shown", lambda self, made: "The wheel turns\nbecause")
    said = textmill("ask", QUESTION, "--max-tokens", "5")
    assert said.count("has the answer word for word") == 1
    assert data("ask", QUESTION, "--max-tokens", "5")["sources"][0]["is_quoted"] is True
    assert "The answer stands in these passages word for word." in " ".join(notes("ask", QUESTION).split())


def test_what_no_page_says_is_not_answered(home: Path, pages: Artifact) -> None:
    untrained(home, CHAT_TEMPLATE, context=400)
    assert textmill("ask", "What does photosynthesis do?") == "No page matches the question.\n"
    told = data("ask", "What does photosynthesis do?")
    assert (told["answer"], told["sources"]) == (None, [])
    assert data("ask", "photosynthesis of the river", "--least", "0", "--max-tokens", "2")["sources"]


def test_without_a_fine_tuned_model_the_passages_are_shown(home: Path, pages: Artifact) -> None:
    base = untrained(home, context=400)
    assert "no fine-tuned model" in notes("ask", QUESTION)
    assert "The wheel turns because the river pushes its paddles." in textmill("ask", QUESTION)
    assert "was taught no chat" in notes("ask", QUESTION, "--model", base.name, "--max-tokens", "3")


def test_passages_beyond_the_context_are_left_out(home: Path, pages: Artifact) -> None:
    untrained(home, CHAT_TEMPLATE, context=140)
    told = data("ask", QUESTION, "--max-tokens", "5", "--least", "0")
    assert len(told["sources"]) == 1
    untrained(home, CHAT_TEMPLATE, context=64)
    begun = data("ask", QUESTION, "--max-tokens", "5")["sources"][0]
    assert begun["text"]
    assert told["sources"][0]["text"].startswith(begun["text"])
    assert begun["end"] - begun["start"] == len(begun["text"]) < len(told["sources"][0]["text"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([" "], "The question is empty"),
        (["mill", "--index", "decontaminate"], "is no index of pages"),
        (["mill", "--model", "index"], "has no model"),
        (["river " * 40], "leaves no room for a passage"),
        (["mill", "--passages", "0"], "--passages"),
    ],
)
def test_what_cannot_be_asked(home: Path, pages: Artifact, arguments: list[str], words: str) -> None:
    untrained(home, CHAT_TEMPLATE, context=64)
    assert words in " ".join(textmill("ask", *arguments, code=2).split())


def test_a_lake_without_an_index_says_how_to_make_one(home: Path) -> None:
    assert "add `index: {}` to a recipe" in textmill("ask", "mill", code=2)
