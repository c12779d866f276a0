"""tasks/evaluate: every number of both models, items held out of training, and the user's own files.

Also covers: tasks/evaluate/asked.py
Also covers: tasks/evaluate/report.py
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_lake.store import Artifact, Lake
from tasks.benchmark_formats import read_hellaswag, read_mmlu
from tasks.evaluate import EvaluateConfig, evaluate
from tasks.evaluate.report import comparison
from tasks.splits import documents_of
from tasks.stage import PermanentError, local_output
from tests.tasks.pydoc_corpus import PagesConfig, build_corpus, build_models, make

CONFIG = EvaluateConfig(max_items=20, threads=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Artifact]]:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    return lake, build_models(lake, built)


def test_every_number_is_there(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    artifact = make(evaluate, lake, CONFIG, built).artifact
    results = json.loads((artifact.path / "results.json").read_text())
    for model in ("pretrain", "sft"):
        text = results["text"][model]
        assert text["bits_per_byte"] == pytest.approx(math.log2(text["byte_perplexity"]))
        assert text["token_perplexity"] < 512  # better than not knowing the language at all
        assert set(results["benchmarks"][model]) == {"hellaswag", "mmlu_letters", "mmlu_cloze", "mmlu"}
        assert results["benchmarks"][model]["mmlu"]["format"] in ("mmlu_letters", "mmlu_cloze")
    rows = pq.read_table(artifact.path / "per_item.parquet").to_pylist()
    assert len(rows) == 2 * (artifact.counts["hellaswag_items"] + 2 * artifact.counts["mmlu_items"])
    right = [row["correct_norm"] for row in rows if row["model"] == "sft" and row["benchmark"] == "hellaswag"]
    assert sum(right) / len(right) == artifact.metrics["hellaswag_acc_norm"]
    assert artifact.metrics["xz_bits_per_byte"] > artifact.metrics["xz_primed_bits_per_byte"] > 0
    assert make(evaluate, lake, CONFIG, built).status == "cached"


def test_items_that_training_documents_have_are_counted_apart(
    models: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    """The user's own benchmark: one item is a sentence of a training page, the others are new."""
    _, built = models
    page = next(documents_of(built["decontaminate"].path, {"train"})).text
    seen = page[page.index("Functions") :].replace("\n", " ")[:300]
    lines = [
        {"ind": n, "activity_label": "", "ctx_a": text, "ctx_b": "", "endings": [" a", " b", " c", " d"], "label": 0}
        for n, text in enumerate(
            [seen, "The lamp beside the door has been out of order since last week, he said", "No"]
        )
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    out = local_output(tmp_path / "out")
    config = CONFIG.model_copy(update={"hellaswag": str(tmp_path / "mine.jsonl")})
    evaluate(config, out, **{name: built[name] for name in evaluate.inputs})
    results = json.loads((out.dir / "results.json").read_text())
    for model in ("pretrain", "sft"):
        found = results["benchmarks"][model]["hellaswag"]
        assert (found["clean"]["n"], found["contaminated"]["n"]) == (2, 1)
        total = found["clean"]["acc_norm"] * 2 + found["contaminated"]["acc_norm"]
        assert total == pytest.approx(3 * found["acc_norm"])
    assert out.counts["hellaswag_contaminated_items"] == 1
    assert out.metrics["hellaswag_acc_norm_clean"] == results["benchmarks"]["sft"]["hellaswag"]["clean"]["acc_norm"]
    rows = pq.read_table(out.dir / "per_item.parquet").to_pylist()
    flags = [row["contaminated"] for row in rows if row["benchmark"] == "hellaswag" and row["model"] == "sft"]
    assert flags == [True, False, False]
    assert rows[0]["found_in_training"] > 0.5


def test_items_are_of_held_out_pages_and_unseen(models: tuple[Lake, dict[str, Artifact]]) -> None:
    lake, built = models
    artifact = make(evaluate, lake, CONFIG, built).artifact
    training = " ".join(
        " ".join(document.text.split()).casefold() for document in documents_of(built["decontaminate"].path, {"train"})
    )
    sentences = read_hellaswag(artifact.path / "items" / "hellaswag_val.jsonl")
    questions, dev = read_mmlu(artifact.path / "items" / "mmlu")
    assert len(dev["held_out_pages"]) == 5
    assert not {item.question for item in questions} & {item.question for item in dev["held_out_pages"]}
    for sentence in sentences:
        assert all(ending.casefold() not in training for ending in sentence.endings)
    for question in questions:
        assert question.choices[question.answer].casefold() not in training


def test_own_files_are_asked_instead(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    lake, built = models
    made = make(evaluate, lake, CONFIG, built).artifact
    lines = (made.path / "items" / "hellaswag_val.jsonl").read_text().splitlines()
    (tmp_path / "mine.jsonl").write_text("\n".join(lines[:3]))
    own = EvaluateConfig(
        hellaswag=str(tmp_path / "mine.jsonl"), mmlu=str(made.path / "items" / "mmlu"), mmlu_shots=1, threads=1
    )
    assert evaluate.sources is not None
    before = evaluate.sources(own)
    out = local_output(tmp_path / "out")
    evaluate(own, out, **{name: built[name] for name in evaluate.inputs})
    assert out.counts["hellaswag_items"] == 3
    assert not (out.dir / "items").exists()
    (tmp_path / "mine.jsonl").write_text("\n".join(lines[:4]))
    assert evaluate.sources(own) != before
    with pytest.raises(PermanentError, match="there is no such file"):
        evaluate.sources(EvaluateConfig(hellaswag=str(tmp_path / "none.jsonl")))


def test_a_corpus_without_items_asks_for_files(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    _, other = build_corpus(tmp_path / "lake", PagesConfig(count=12, python=False))  # every page says the same
    mixed = {**models[1], "decontaminate": other["decontaminate"]}
    with pytest.raises(PermanentError, match=r"There are 0 HellaSwag and 0 MMLU items"):
        evaluate(CONFIG, local_output(tmp_path / "out"), **{name: mixed[name] for name in evaluate.inputs})


def mmlu(folder: Path, rows: dict[str, list[list[str]]], split: str = "test") -> None:
    (folder / split).mkdir(parents=True, exist_ok=True)
    for subject, items in rows.items():
        with (folder / split / f"{subject}_{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(items)


def test_a_part_of_the_users_file_is_even_and_items_that_cannot_be_asked_are_counted(
    models: tuple[Lake, dict[str, Artifact]], tmp_path: Path
) -> None:
    built = models[1]
    context = json.loads((built["sft"].path / "model.json").read_text())["config"]["max_seq_len"]
    rows = {s: [[f"What is {s} {n}?", "a", "b", "c", "d", "A"] for n in range(30)] for s in ("art", "law", "zoology")}
    rows["art"][0][1] = " "
    rows["law"][1][2] = "word " * 2 * context
    rows["zoology"][0][0] = "Why? " * 2 * context
    mmlu(tmp_path / "mmlu", rows)
    lines = [
        {"activity_label": "", "ctx_a": f"line {n}", "ctx_b": "", "endings": ["a", "" if n == 2 else "b"], "label": 0}
        for n in range(5)
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    out = local_output(tmp_path / "out")
    said: list[str] = []
    out.warning = said.append  # type: ignore[method-assign]
    own = {"mmlu": str(tmp_path / "mmlu"), "hellaswag": str(tmp_path / "mine.jsonl"), "max_items": 12}
    evaluate(CONFIG.model_copy(update=own), out, **{name: built[name] for name in evaluate.inputs})

    assert (out.counts["mmlu_items"], out.counts["mmlu_available"]) == (12, 90)
    assert (out.counts["hellaswag_items"], out.counts["hellaswag_available"]) == (4, 5)
    assert (out.counts["mmlu_empty_choice"], out.counts["hellaswag_empty_choice"]) == (1, 1)
    table = pq.read_table(out.dir / "per_item.parquet").to_pylist()
    asked = [row["context"] for row in table if row["model"] == "sft" and row["benchmark"] == "mmlu_letters"]
    assert [sum(subject in text for text in asked) for subject in rows] == [4, 4, 4]
    found = json.loads((out.dir / "results.json").read_text())["benchmarks"]["sft"]
    assert (found["mmlu_cloze"]["n"], found["mmlu_cloze"]["n_too_long"]) == (11, 1)
    assert (found["mmlu_letters"]["n"], found["mmlu_letters"]["n_too_long"]) == (12, 0)
    assert found["mmlu_letters"]["n_truncated"] >= 2  # the long question, and the one with a long choice
    assert found["mmlu_cloze"]["n_truncated"] >= 1
    assert out.counts["mmlu_letters_truncated"] == found["mmlu_letters"]["n_truncated"]
    text = comparison(json.loads((out.dir / "results.json").read_text()))
    assert "of 12 of 90" in text or "of 11 of 90" in text
    assert "prompts cut to the context" in text
    assert "left out, as a choice is longer than the context" in text
    assert any("1 of 90 items of" in sentence and "have an empty choice" in sentence for sentence in said)
    assert not any("shots" in sentence for sentence in said)  # no shots were shown, so fewer are no way out


def test_shots_that_are_not_there_are_said(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    item = ["What is it?", "a", "b", "c", "d", "B"]
    mmlu(tmp_path, {"art": [item] * 2, "law": [item] * 3})
    mmlu(tmp_path, {"art": [item]}, "dev")
    out = local_output(tmp_path / "out")
    said: list[str] = []
    out.warning = said.append  # type: ignore[method-assign]
    own = {"mmlu": str(tmp_path), "mmlu_shots": 1}
    evaluate(CONFIG.model_copy(update=own), out, **{name: models[1][name] for name in evaluate.inputs})
    assert out.counts["mmlu_without_shots"] == 3
    assert any("3 of 5 MMLU items" in sentence and "of law." in sentence for sentence in said)


def test_five_shots_that_do_not_fit_are_said(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    built = models[1]
    item = ["What stands on the shelf beside the window of the house?", "a lamp", "a book", "a cup", "a shoe", "B"]
    for split in ("dev", "test"):
        mmlu(tmp_path, {"houses": [item] * 5}, split)
    out = local_output(tmp_path / "out")
    said: list[str] = []
    out.warning = said.append  # type: ignore[method-assign]
    own = {"mmlu": str(tmp_path), "mmlu_shots": 5}
    evaluate(CONFIG.model_copy(update=own), out, **{name: built[name] for name in evaluate.inputs})
    assert out.counts["mmlu_letters_truncated"] == 5
    text = comparison(json.loads((out.dir / "results.json").read_text()))
    assert "5 of 5 prompts cut to the context" in text
    assert any(sentence.startswith("mmlu_letters: 5 of 5") and "fewer shots" in sentence for sentence in said)


def test_a_file_of_which_nothing_can_be_asked(models: tuple[Lake, dict[str, Artifact]], tmp_path: Path) -> None:
    mmlu(tmp_path, {"x": [["What?", "", "b", "c", "d", "A"]]})
    config = CONFIG.model_copy(update={"mmlu": str(tmp_path)})
    with pytest.raises(PermanentError, match=r"Every item of .* has an empty choice"):
        evaluate(config, local_output(tmp_path / "out"), **{name: models[1][name] for name in evaluate.inputs})
