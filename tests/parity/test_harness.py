"""`textmill evaluate --harness`: lm-eval itself on a model of the lake equals what the stage `evaluate` measures.

Also covers: tasks/evaluation/harness/adapter.py
Also covers: tasks/evaluation/harness/local.py
Also covers: tasks/evaluation/harness/run.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from data_lake.store.lake import Artifact, Lake
from model.shape import GPTConfig
from model.tokenizer import SPECIALS, Tokenizer, specials_after
from tasks.benchmarks import BenchmarksConfig, benchmarks
from tasks.evaluation.evaluate.asking import MAX_NEW_TOKENS, ask
from tasks.evaluation.evaluate.benchmarks import Asking, results_of
from tasks.evaluation.evaluate.writing import Writer, Written
from tasks.evaluation.harness import run
from tasks.evaluation.harness.adapter import adapter_of
from tasks.evaluation.harness.run import run_harness
from tasks.stage import Output, PermanentError, StageConfig, kinds, local_output, stage
from tasks.synthetic.questions.chosen import choose
from tasks.synthetic.questions.config import QuestionsConfig
from tasks.training.trained import load_trained
from tasks.training.written import write_model
from tests.parity.harness import task_manager
from tests.parity.rows import rows_of

pytestmark = pytest.mark.parity
pytest.importorskip("lm_eval", reason="lm-eval is not installed; `make test` installs it.")

TASKS = ("piqa", "arc_easy", "lambada_openai", "wikitext", "winogrande")


@stage(makes=kinds.Model, version=1)
def pretrain(config: StageConfig, out: Output) -> None:
    """Write a random model of bytes."""
    from model.gpt import GPT

    tokenizer = Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", specials_after(256, 8, SPECIALS))
    shape = {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "d_model": 16, "d_ff": 32, "max_seq_len": 256}
    network = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **shape)).initialise(0)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    write_model(out, network, tokenizer, [], None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return pretrain.build(Lake(tmp_path_factory.mktemp("lake")), StageConfig(), {}).artifact


@pytest.fixture(autouse=True)
def few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval's index of all its tasks takes half a minute."""
    import lm_eval.tasks

    manager = task_manager(TASKS)
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", lambda: manager)


def written(folder: Path, task: str, shots: int) -> str:
    """The files of a task, each split in another format."""
    splits = {"test" if task in ("arc_easy", "lambada_openai", "wikitext") else "validation": rows_of(task, 3)}
    if shots:
        splits["train"] = rows_of(task, 6, seed=1)
    own = folder / task
    own.mkdir()
    for split, rows in splits.items():
        if split == "train":
            pq.write_table(pa.Table.from_pylist(rows), own / "train.parquet")
        else:
            (own / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(own)


def ours(artifact: Artifact, folder: Path, paths: dict[str, str], shots: int) -> dict[str, dict[str, Any]]:
    """The summaries of our own measurement of the same files."""
    from model.scoring import Scorer

    out = local_output(folder / f"read-{shots}")
    files = {name: {"path": path} for name, path in paths.items()}
    benchmarks(BenchmarksConfig.model_validate({"files": files, "shots": list(paths)}), out)
    wanted = {name: {"limit": 0, "shots": shots} for name in paths}
    chosen, _ = choose(QuestionsConfig.model_validate({"benchmarks": wanted}), local_output(folder / "x"), out.dir)
    network, tokenizer = load_trained(artifact)
    scorer, write = Scorer(network, tokenizer.encode, tokenizer.bos), Writer(network, tokenizer)
    from tasks.benchmarks.registry import BENCHMARKS

    found = {}
    for name, items in chosen.items():
        asking = Asking(BENCHMARKS[name], items, len(items))
        found[name] = results_of(asking, ask(scorer, write, asking.benchmark, items), 100).summary()
    return found


@pytest.mark.parametrize("shots", [0, 2])
def test_the_harness_measures_what_we_measure(shots: int, model: Artifact, tmp_path: Path) -> None:
    tasks = [name for name in TASKS if not (shots and name in ("lambada_openai", "wikitext"))]
    paths = {name: written(tmp_path, name, shots) for name in tasks}
    measured = run_harness(model, {name: [path] for name, path in paths.items()}, shots=shots, bootstrap=100)
    expected = ours(model, tmp_path, paths, shots)
    assert {one.task for one in measured} == set(tasks)
    for one in measured:
        assert one.value == pytest.approx(expected[one.task][one.metric], rel=1e-5), one
        stderr = expected[one.task][f"{one.metric}_stderr"]
        assert (stderr is None) == (one.stderr is None)
        assert stderr is None or one.stderr == pytest.approx(stderr, rel=1e-4)
        assert one.n == 3
    assert os.environ.get("HF_HUB_OFFLINE") is None  # only while it ran


def test_answers_with_the_same_end_are_written_together_and_come_back_in_order() -> None:
    asked: list[tuple[object, ...]] = []

    def write(prompts: Sequence[str], until: Sequence[str], most: int) -> list[Written]:
        asked.append((list(prompts), list(until), most))
        return [Written(f"{prompt} said", 1) for prompt in prompts]

    lm = adapter_of(None, write)  # type: ignore[arg-type]
    wants = [{"until": "\n"}, {"until": ["Q:", "A:"], "max_gen_toks": 5}, {"until": ["\n"]}, {"until": None}]
    requests = [SimpleNamespace(args=(f"prompt {number}", given)) for number, given in enumerate(wants)]
    assert lm.generate_until(requests) == [f"prompt {number} said" for number in range(4)]
    assert asked == [
        (["prompt 0", "prompt 2"], ["\n"], MAX_NEW_TOKENS),
        (["prompt 1"], ["Q:", "A:"], 5),
        (["prompt 3"], [], MAX_NEW_TOKENS),
    ]
    samples = SimpleNamespace(args=("prompt", {"do_sample": True, "temperature": 0.7}))
    with pytest.raises(ValueError, match="this one wants samples"):
        lm.generate_until([samples])


def test_the_validation_split_is_asked_if_there_is_no_test_split(model: Artifact, tmp_path: Path) -> None:
    (tmp_path / "ARC-Easy-Dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_of("arc_easy", 4)))
    measured = run_harness(model, {"arc_easy": [str(tmp_path)]})
    assert {(one.metric, one.n) for one in measured} == {("acc", 4), ("acc_norm", 4)}


def test_a_single_file_is_what_is_asked(model: Artifact, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(rows_of("piqa", 4)))
    measured = run_harness(model, {"piqa": [str(tmp_path / "mine.json")]}, limit=2)
    assert {(one.metric, one.n) for one in measured} == {("acc", 2), ("acc_norm", 2)}


@pytest.mark.parametrize(
    ("task", "text", "shots", "said"),
    [
        ("piqa", "", 0, "asks the split 'validation', but the files have none"),
        ("piqa", "not json\n", 0, r"row 1 cannot be given to lm-eval: it is not JSON"),
        ("piqa", json.dumps(rows_of("piqa", 1)[0]) + "\n", 1, "The shots of piqa come from the split 'train'"),
        ("piqa", json.dumps({"query": "Why?"}) + "\n", 0, r"valid.jsonl, row 1 is no row of piqa: .*goal"),
        ("piqa", "".join(json.dumps(row) + "\n" for row in [*rows_of("piqa", 2), {"goal": "x"}]), 0, "row 3 is no row"),
        ("no_such_task", "{}\n", 0, "lm-eval has no task 'no_such_task'"),
    ],
)
def test_what_is_not_there_is_said(
    task: str, text: str, shots: int, said: str, model: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "valid.jsonl").write_text(text)
    with pytest.raises(PermanentError, match=said):
        run_harness(model, {task: [str(tmp_path / "valid.jsonl")]}, shots=shots)


def test_without_lm_eval_it_is_said_how_to_install_it(model: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    with pytest.raises(PermanentError, match="--no-deps"):
        run_harness(model, {})
    assert run.MISSING.startswith("lm-eval is not installed")
