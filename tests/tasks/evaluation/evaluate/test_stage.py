"""evaluation/evaluate: every number of one model, asked what questions chose; what was not asked as it is, is said.

Also covers: tasks/evaluation/evaluate/config.py
Also covers: tasks/evaluation/evaluate/report.py
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_lake.store.lake import Artifact, Lake
from data_lake.tables.schemas import PREDICTIONS
from tasks.benchmarks import BenchmarksConfig, benchmarks
from tasks.corpus.splits import documents_of
from tasks.evaluation.evaluate import EvaluateConfig, evaluate
from tasks.evaluation.evaluate.preflight import context_field
from tasks.evaluation.evaluate.report import comparison, comparisons
from tasks.stage import ContractError, Output, local_output
from tasks.synthetic.questions import QuestionsConfig, questions
from tasks.synthetic.questions.files import HeldOut, read_questions
from tests.lakes import commit
from tests.tasks.pydoc_corpus import build_corpus, build_models, make

ASKED = QuestionsConfig(max_items=20)
CONFIG = EvaluateConfig(threads=1)
Models = tuple[Lake, dict[str, Artifact]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    built = build_models(lake, built)
    return lake, {**built, "questions": make(questions, lake, ASKED, built).artifact}


def evaluated(models: Models, model: str = "sft", config: EvaluateConfig = CONFIG) -> Artifact:
    lake, built = models
    return make(evaluate, lake, config, {**built, "model": built[model]}).artifact


def asked_of(models: Models, config: EvaluateConfig = CONFIG, **own: Any) -> tuple[Artifact, list[str]]:
    """The evaluation of the fine-tuned model on the user's own items, and what it warned of."""
    lake, built = models
    asked = make(questions, lake, ASKED.model_copy(update=own), built).artifact
    made = make(evaluate, lake, config, {**built, "model": built["sft"], "questions": asked}).artifact
    said: list[str] = []
    out = local_output(lake.root.parent / f"said-{made.key}-{len(own)}")
    out.warning = said.append  # type: ignore[method-assign]
    evaluate(config, out, model=built["sft"], questions=asked)
    return made, said


def held_out(models: Models) -> list[HeldOut]:
    return read_questions(models[1]["questions"].path).texts


def results_of(artifact: Artifact) -> dict[str, Any]:
    return json.loads((artifact.path / "results.json").read_text())


def test_every_number_is_there(models: Models) -> None:
    for model in ("pretrain", "sft"):
        artifact = evaluated(models, model)
        results = results_of(artifact)
        text = results["text"]
        assert text["bits_per_byte"] == pytest.approx(math.log2(text["byte_perplexity"]))
        assert text["token_perplexity"] < 512  # better than not knowing the language at all
        assert set(results["benchmarks"]) == {"hellaswag", "mmlu_letters", "mmlu_cloze", "mmlu"}
        assert results["benchmarks"]["mmlu"]["format"] in ("mmlu_letters", "mmlu_cloze")
        rows = pq.read_table(artifact.path / "per_item.parquet").to_pylist()
        assert len(rows) == artifact.counts["hellaswag_items"] + 2 * artifact.counts["mmlu_items"]
        right = [row["correct_norm"] for row in rows if row["benchmark"] == "hellaswag"]
        assert sum(right) / len(right) == artifact.metrics["hellaswag_acc_norm"]
        assert artifact.metrics["bits_per_byte"] == text["bits_per_byte"]
        documents = pq.read_table(artifact.path / "per_document.parquet").to_pylist()
        assert [one["doc_id"] for one in documents] == [one.doc_id for one in held_out(models)]
        assert {one["source"] for one in documents} == {"python-docs.localhost"}
        bits = sum(one["nats"] for one in documents) / sum(one["bytes"] for one in documents) / math.log(2)
        assert bits == text["bits_per_byte"]
        # a run compares alone
        for name in ("xz_bits_per_byte", "xz_primed_bits_per_byte"):
            assert artifact.metrics[name] == models[1]["questions"].metrics[name]


def test_the_page_of_an_evaluation_has_its_numbers_and_what_the_model_cost(models: Models) -> None:
    artifact = evaluated(models)
    page = (artifact.path / "report.html").read_text("utf-8")
    found = results_of(artifact)["benchmarks"]["hellaswag"]
    for words in (
        f"Evaluation of {models[1]['sft'].name}",
        f"<b>{found['acc_norm']:.3f}</b>",
        f"chance {found['chance']:.3f}, the choices alone {found['controls']['no_question']['value']:.3f}",
        f"{results_of(artifact)['text']['bits_per_byte']:.3f}",
        "python-docs.localhost",
        f"{models[1]['sft'].counts['steps']:,} steps",
    ):
        assert words in page
    assert "CPU cores" in page
    again = make(evaluate, models[0], CONFIG.model_copy(update={"batch_tokens": 512}), {**models[1],
                 "model": models[1]["sft"]}).artifact  # fmt: skip
    assert (again.path / "report.html").read_text("utf-8") == page  # nothing that another build would not say too


def test_a_model_that_is_evaluated_again_leaves_the_other_one_and_the_questions_as_they_are(models: Models) -> None:
    lake, built = models
    evaluated(models, "pretrain")
    shots = EvaluateConfig(threads=1, mmlu_shots=1)
    assert make(evaluate, lake, shots, {**built, "model": built["sft"]}).status == "built"
    assert make(evaluate, lake, CONFIG, {**built, "model": built["pretrain"]}).status == "cached"
    # what no model changes knows of no model
    assert list(questions.inputs) == ["corpus", "benchmarks"]
    assert make(questions, lake, ASKED, built).status == "cached"


def test_items_that_training_documents_have_are_counted_apart(models: Models, tmp_path: Path) -> None:
    """The user's own benchmark: one item is a sentence of a training page, the others are new."""
    page = next(documents_of(models[1]["decontaminate"].path, {"train"})).text
    seen = page[page.index("Functions") :].replace("\n", " ")[:300]
    lines = [
        {"ind": n, "activity_label": "", "ctx_a": text, "ctx_b": "", "endings": [" a", " b", " c", " d"], "label": 0}
        for n, text in enumerate(
            [seen, "The lamp beside the door has been out of order since last week, he said", "No"]
        )
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    made, _ = asked_of(models, hellaswag=str(tmp_path / "mine.jsonl"))
    found = results_of(made)["benchmarks"]["hellaswag"]
    assert (found["clean"]["n"], found["contaminated"]["n"]) == (2, 1)
    total = found["clean"]["acc_norm"] * 2 + found["contaminated"]["acc_norm"]
    assert total == pytest.approx(3 * found["acc_norm"])
    assert made.metrics["hellaswag_acc_norm_clean"] == found["clean"]["acc_norm"]
    rows = [row for row in pq.read_table(made.path / "per_item.parquet").to_pylist() if row["benchmark"] == "hellaswag"]
    assert [row["contaminated"] for row in rows] == [True, False, False]
    assert rows[0]["found_in_training"] > 0.5


def test_the_context_of_what_was_imported_is_decided_where_it_was_imported(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    imported, own = commit(lake, "import_model", texts={"a": "a"}), commit(lake, "pretrain", texts={"a": "b"})
    tuned = commit(lake, "sft", upstream={"base": commit(lake, "pretrain", upstream={"base": imported})})
    assert [context_field(one) for one in (imported, tuned)] == ["import_model.max_seq_len"] * 2
    assert context_field(commit(lake, "sft", upstream={"base": own})) == "pretrain.model.max_seq_len"


def mmlu(folder: Path, rows: dict[str, list[list[str]]], split: str = "test") -> None:
    (folder / split).mkdir(parents=True, exist_ok=True)
    for subject, items in rows.items():
        with (folder / split / f"{subject}_{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(items)


def test_items_that_do_not_fit_are_left_out_or_cut_and_counted(models: Models, tmp_path: Path) -> None:
    context = json.loads((models[1]["sft"].path / "model.json").read_text())["config"]["max_seq_len"]
    rows = {s: [[f"What is {s} {n}?", "a", "b", "c", "d", "A"] for n in range(30)] for s in ("art", "law", "zoology")}
    rows["law"][1][2] = "word " * 2 * context
    rows["zoology"][0][0] = "Why? " * 2 * context
    mmlu(tmp_path / "mmlu", rows)
    made, said = asked_of(models, mmlu=str(tmp_path / "mmlu"), max_items=12)
    found = results_of(made)["benchmarks"]
    assert (found["mmlu_cloze"]["n"], found["mmlu_cloze"]["n_too_long"]) == (11, 1)
    assert (found["mmlu_letters"]["n"], found["mmlu_letters"]["n_too_long"]) == (12, 0)
    assert found["mmlu_letters"]["n_truncated"] >= 2  # the long question, and the one with a long choice
    assert found["mmlu_cloze"]["n_truncated"] >= 1
    assert made.counts["mmlu_letters_truncated"] == found["mmlu_letters"]["n_truncated"]
    text = comparison({"sft": results_of(made)})
    assert "of 12 of 90" in text or "of 11 of 90" in text
    assert "prompts cut to the context" in text
    assert "left out, as a choice is longer than the context" in text
    assert any("1 items were left out" in sentence for sentence in said)
    assert not any("shots" in sentence for sentence in said)  # no shots were shown, so fewer are no way out


def test_shots_that_are_not_there_are_said(models: Models, tmp_path: Path) -> None:
    item = ["What is it?", "a", "b", "c", "d", "B"]
    mmlu(tmp_path, {"art": [item] * 2, "law": [item] * 3})
    mmlu(tmp_path, {"art": [item]}, "dev")
    made, said = asked_of(models, EvaluateConfig(threads=1, mmlu_shots=1), mmlu=str(tmp_path))
    assert made.counts["mmlu_without_shots"] == 3
    assert any("3 of 5 MMLU items" in sentence and "of law." in sentence for sentence in said)


def test_five_shots_that_do_not_fit_are_said(models: Models, tmp_path: Path) -> None:
    item = ["What stands on the shelf beside the window of the house?", "a lamp", "a book", "a cup", "a shoe", "B"]
    for split in ("dev", "test"):
        mmlu(tmp_path, {"houses": [item] * 5}, split)
    made, said = asked_of(models, EvaluateConfig(threads=1, mmlu_shots=5), mmlu=str(tmp_path))
    assert made.counts["mmlu_letters_truncated"] == 5
    assert "5 of 5 prompts cut to the context" in comparison({"sft": results_of(made)})
    assert any(sentence.startswith("mmlu_letters: 5 of 5") and "fewer shots" in sentence for sentence in said)


def test_the_chat_template_is_for_models_that_say_that_they_were_taught_it(models: Models) -> None:
    in_chat = EvaluateConfig(threads=1, chat_template=True)
    plain, chat = (pq.read_table(evaluated(models, "sft", c).path / "per_item.parquet") for c in (CONFIG, in_chat))
    assert plain["log_likelihoods"] != chat["log_likelihoods"]
    plain, chat = (pq.read_table(evaluated(models, "pretrain", c).path / "per_item.parquet") for c in (CONFIG, in_chat))
    assert plain.equals(chat)


def test_models_that_were_asked_the_same_stand_side_by_side(models: Models, tmp_path: Path) -> None:
    made = {name: evaluated(models, name) for name in ("pretrain", "sft")}
    (text,) = comparisons({"pretrain": made["pretrain"], "sft@d12": made["sft"]})
    lines = text.splitlines()
    assert lines[1] == f"  pretrain {made['pretrain'].metrics['bits_per_byte']:.3f}"
    assert lines[2] == f"  sft@d12  {made['sft'].metrics['bits_per_byte']:.3f}"
    xz, primed = (made["sft"].metrics[f"{name}_bits_per_byte"] for name in ("xz", "xz_primed"))
    assert lines[3] == f"  xz -9e   {xz:.3f}, or {primed:.3f} after the training text"
    assert [line.split()[0] for line in lines if "chance" in line] == ["pretrain", "sft@d12"] * 2
    mmlu(tmp_path, {"art": [["What is it?", "a", "b", "c", "d", "B"]] * 3})
    other, _ = asked_of(models, mmlu=str(tmp_path), priming_bytes=0)
    apart = comparisons({"pretrain": made["pretrain"], "other": other})
    assert [text.count("MMLU format") for text in apart] == [1, 1]
    assert "after the training text" not in apart[1]
    assert comparisons({}) == []


def test_a_control_that_models_do_not_beat_is_a_sentence_of_its_own(models: Models) -> None:
    results = results_of(evaluated(models))
    blind = {"n": 20, "value": 0.875, "difference": 0.01, "difference_stderr": 0.02}
    results["benchmarks"]["mmlu"]["controls"] = {"no_question": blind}
    beaten = json.loads(json.dumps(results))
    beaten["benchmarks"]["mmlu"]["controls"]["no_question"]["difference"] = 0.05
    lines = comparison({"a": results, "b": beaten, "c": results}).splitlines()
    assert sum("; the choices alone 0.875" in line for line in lines) == 3
    (said,) = [line for line in lines if "two standard errors" in line and "0.875" not in line and "a and c" in line]
    assert said.startswith("    a and c do not beat the choices alone by two standard errors:")


def test_official_benchmarks_are_asked_beside_the_made_ones(models: Models, tmp_path: Path) -> None:
    """One of each way of asking; PIQA has an item of training text, and one that is longer than the context."""
    lake, built = models
    page = next(documents_of(built["decontaminate"].path, {"train"})).text
    goals = [page[page.index("Functions") :].replace("\n", " ")[:300], "To do nothing", "To wait", "To rest"]
    piqa = [{"goal": goal, "sol1": "Do.", "sol2": "Do not.", "label": 0} for goal in goals]
    piqa[2]["sol2"] = "word " * 300
    rows = {
        "piqa": piqa,
        "wikitext": [{"page": "Tools of module 1 for work with many kinds of things."}],
        "lambada_openai": [{"text": "Initialize self. See help"}, {"text": "Nothing is done"}],
        "gsm8k": [{"question": "2 + 2?", "answer": "4\n#### 4"}],
    }
    for name, own in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    files = {name: {"path": str(tmp_path / f"{name}.jsonl")} for name in rows}
    read = benchmarks.build(lake, BenchmarksConfig.model_validate({"files": files}), {}).artifact
    asked = QuestionsConfig.model_validate({"max_items": 20, "benchmarks": {name: {"shots": 0} for name in rows}})
    inputs = {**built, "benchmarks": read}
    made = make(evaluate, lake, CONFIG, {**inputs, "model": built["sft"],
                "questions": make(questions, lake, asked, inputs).artifact}).artifact  # fmt: skip
    found = results_of(made)["benchmarks"]
    assert set(rows) <= set(found)
    told = {file["benchmark"]: (file["place"], file["sha256"]) for file in results_of(made)["files"]}
    assert told == {
        name: (f"{name}.jsonl", hashlib.sha256((tmp_path / f"{name}.jsonl").read_bytes()).hexdigest()) for name in rows
    }
    assert told["piqa"][1][:16] in (made.path / "report.html").read_text("utf-8")
    assert (found["piqa"]["n"], found["piqa"]["n_too_long"], found["piqa"]["contaminated"]["n"]) == (3, 1, 1)
    assert found["wikitext"]["bits_per_byte"] == pytest.approx(math.log2(found["wikitext"]["byte_perplexity"]))
    assert found["gsm8k"]["exact_match"] == 0.0
    assert made.metrics["lambada_openai_acc"] == found["lambada_openai"]["acc"]
    assert made.metrics["wikitext_bits_per_byte"] > 0
    per_item = pq.read_table(made.path / "per_item.parquet")
    assert per_item.schema.equals(PREDICTIONS)
    assert set(per_item["model"].to_pylist()) == {built["sft"].name}
    written = [row for row in per_item.to_pylist() if row["benchmark"] == "gsm8k"]
    assert [(row["log_likelihoods"], row["reference"], row["score"]) for row in written] == [([], "4\n#### 4", 0.0)]
    text = comparison({"sft": results_of(made)})
    assert "Official benchmarks" in text
    assert "gsm8k (exact_match):" in text
    assert evaluate.violations(made) == []


def test_an_official_benchmark_takes_the_place_of_the_made_items(models: Models, tmp_path: Path) -> None:
    lake, built = models
    mmlu(
        tmp_path, {"art": [["What is it?", "a", "b", "c", "d", "B"]] * 3, "law": [["Is it?", "a", "b", "c", "d", "A"]]}
    )
    files = {"mmlu": {"path": str(tmp_path)}}
    inputs = {
        **built,
        "benchmarks": benchmarks.build(lake, BenchmarksConfig.model_validate({"files": files}), {}).artifact,
    }
    asked = make(questions, lake, QuestionsConfig.model_validate({"max_items": 20, "benchmarks": {"mmlu": {}}}), inputs)
    made = make(evaluate, lake, CONFIG, {**inputs, "model": built["sft"], "questions": asked.artifact}).artifact
    found = results_of(made)["benchmarks"]
    assert set(found) == {"hellaswag", "mmlu"}
    assert (found["mmlu"]["metric"], found["mmlu"]["n"], set(found["mmlu"]["subjects"])) == ("acc", 4, {"art", "law"})
    assert made.metrics["mmlu_acc"] == found["mmlu"]["acc"]


def test_an_evaluation_that_breaks_its_contract_is_not_committed(
    models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = evaluated(models)
    assert evaluate.violations(made) == []
    results = results_of(made)
    results["text"]["bits_per_byte"] = math.nan
    results["benchmarks"]["hellaswag"] |= {"acc": 1.5, "n": 3}
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "per_item.parquet").write_bytes((made.path / "per_item.parquet").read_bytes())
    documents = pq.read_table(made.path / "per_document.parquet")
    pq.write_table(documents.slice(1), tmp_path / "per_document.parquet")
    said = " ".join(evaluate.violations(Artifact(made.stage, made.key, tmp_path, made.manifest)))
    assert "bits per byte are nan" in said
    assert "accuracy in hellaswag is 1.5" in said
    assert "items were asked" in said
    assert f"per_document.parquet has {documents.num_rows - 1:,} rows" in said
    lake, built = models
    monkeypatch.setattr(Output, "count", lambda self, **numbers: None)
    with pytest.raises(ContractError, match="text_bytes is missing or 0"):
        make(evaluate, lake, EvaluateConfig(threads=1, min_context=2), {**built, "model": built["sft"]})
