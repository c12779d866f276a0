"""tasks/synthetic/questions: items held out of training, the user's own files, and what training has of them.

Also covers: tasks/synthetic/questions/asked.py
Also covers: tasks/synthetic/questions/config.py
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.benchmarks.formats import read_hellaswag, read_mmlu
from tasks.corpus.splits import documents_of
from tasks.stage import PermanentError, local_output
from tasks.synthetic.questions import QuestionsConfig, questions
from tasks.synthetic.questions.files import read_questions
from tests.tasks.pydoc_corpus import PagesConfig, build_corpus, make

CONFIG = QuestionsConfig(max_items=20)
Built = tuple[Lake, dict[str, Artifact]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_corpus(tmp_path_factory.mktemp("corpus"))


def ask(corpus: Built, folder: Path, **own: object) -> tuple[dict[str, int], list[str]]:
    """What was counted when the user's own files are asked, and what was said of them."""
    out = local_output(folder)
    said: list[str] = []
    out.warning = said.append  # type: ignore[method-assign]
    questions(CONFIG.model_copy(update=own), out, corpus=corpus[1]["decontaminate"])
    return out.counts, said


def test_items_are_of_held_out_pages_and_unseen(corpus: Built) -> None:
    lake, built = corpus
    artifact = make(questions, lake, CONFIG, built).artifact
    training = " ".join(
        " ".join(document.text.split()).casefold() for document in documents_of(built["decontaminate"].path, {"train"})
    )
    asked = read_questions(artifact.path)
    assert len(asked.dev["held_out_pages"]) == 5
    assert not {item.question for item in asked.mmlu} & {item.question for item in asked.dev["held_out_pages"]}
    for sentence in asked.hellaswag:
        assert all(ending.casefold() not in training for ending in sentence.endings)
    for question in asked.mmlu:
        assert question.choices[question.answer].casefold() not in training
    # the same items, as other systems read them
    assert read_hellaswag(artifact.path / "items" / "hellaswag_val.jsonl") == asked.hellaswag
    assert read_mmlu(artifact.path / "items" / "mmlu") == (asked.mmlu, asked.dev)
    assert [text.doc_id for text in asked.texts] == [
        document.doc_id for document in documents_of(built["decontaminate"].path, {"test"})
    ]
    assert make(questions, lake, CONFIG, built).status == "cached"


def test_own_files_are_asked_instead(corpus: Built, tmp_path: Path) -> None:
    lake, built = corpus
    made = make(questions, lake, CONFIG, built).artifact
    lines = (made.path / "items" / "hellaswag_val.jsonl").read_text().splitlines()
    (tmp_path / "mine.jsonl").write_text("\n".join(lines[:3]))
    own = QuestionsConfig(hellaswag=str(tmp_path / "mine.jsonl"), mmlu=str(made.path / "items" / "mmlu"))
    assert questions.sources is not None
    before = questions.sources(own)
    out = local_output(tmp_path / "out")
    questions(own, out, corpus=built["decontaminate"])
    assert out.counts["hellaswag_items"] == 3
    assert read_questions(out.dir).mmlu == read_questions(made.path).mmlu
    assert not (out.dir / "items").exists()
    (tmp_path / "mine.jsonl").write_text("\n".join(lines[:4]))
    assert questions.sources(own) != before
    with pytest.raises(PermanentError, match="there is no such file"):
        questions.sources(QuestionsConfig(hellaswag=str(tmp_path / "none.jsonl")))


def test_a_corpus_without_items_asks_for_files(tmp_path: Path) -> None:
    other = build_corpus(tmp_path / "lake", PagesConfig(count=12, python=False))  # every page says the same
    with pytest.raises(PermanentError, match=r"There are 0 HellaSwag and 0 MMLU items"):
        ask(other, tmp_path / "out")


def test_a_corpus_that_holds_nothing_out_is_told_so(corpus: Built, tmp_path: Path) -> None:
    from tasks.corpus.splits import SplitConfig

    other = build_corpus(tmp_path / "lake", PagesConfig(split=SplitConfig(val=0.1, test=0)))
    with pytest.raises(PermanentError, match="The test split is empty"):
        ask(other, tmp_path / "out")


def mmlu(folder: Path, rows: dict[str, list[list[str]]]) -> str:
    (folder / "test").mkdir(parents=True)
    for subject, items in rows.items():
        with (folder / "test" / f"{subject}_test.csv").open("w", newline="") as file:
            csv.writer(file).writerows(items)
    return str(folder)


def test_a_part_of_the_users_file_is_even_and_items_that_cannot_be_asked_are_counted(
    corpus: Built, tmp_path: Path
) -> None:
    rows = {s: [[f"What is {s} {n}?", "a", "b", "c", "d", "A"] for n in range(30)] for s in ("art", "law", "zoology")}
    rows["art"][0][1] = " "
    lines = [
        {"activity_label": "", "ctx_a": f"line {n}", "ctx_b": "", "endings": ["a", "" if n == 2 else "b"], "label": 0}
        for n in range(5)
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    own = {"mmlu": mmlu(tmp_path / "mmlu", rows), "hellaswag": str(tmp_path / "mine.jsonl"), "max_items": 12}
    counts, said = ask(corpus, tmp_path / "out", **own)
    assert (counts["mmlu_items"], counts["mmlu_available"]) == (12, 90)
    assert (counts["hellaswag_items"], counts["hellaswag_available"]) == (4, 5)
    assert (counts["mmlu_empty_choice"], counts["hellaswag_empty_choice"]) == (1, 1)
    asked = read_questions(tmp_path / "out")
    assert [item.subject for item in asked.mmlu] == ["art"] * 4 + ["law"] * 4 + ["zoology"] * 4
    assert asked.mmlu[0].question == "What is art 1?"
    assert asked.available == {"hellaswag": 5, "mmlu": 90}
    assert any("1 of 90 items of" in sentence and "have an empty choice" in sentence for sentence in said)


def test_a_file_of_which_nothing_can_be_asked(corpus: Built, tmp_path: Path) -> None:
    path = mmlu(tmp_path / "mmlu", {"x": [["What?", "", "b", "c", "d", "A"]]})
    with pytest.raises(PermanentError, match=r"Every item of .* has an empty choice"):
        ask(corpus, tmp_path / "out", mmlu=path)


def test_more_of_the_same_file_is_new_content_even_if_the_same_items_are_asked(corpus: Built, tmp_path: Path) -> None:
    """An evaluation says `12 of 90`, so it must be made again when there are 91."""
    lake, built = corpus
    rows = [[f"What is {n}?", "a", "b", "c", "d", "A"] for n in range(10)]
    found = []
    for count in (9, 10):
        path = mmlu(tmp_path / str(count), {"art": rows[:count]})
        config = CONFIG.model_copy(update={"mmlu": path, "max_items": 5})
        found.append(make(questions, lake, config, built).artifact)
    assert read_questions(found[0].path).mmlu == read_questions(found[1].path).mmlu
    assert found[0].content != found[1].content
