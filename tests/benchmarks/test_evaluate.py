"""Multiple choice beside lm-eval's own loop: the same model, the same items, the same numbers, on one core.

lm-eval runs as its users run it: its class HFLM on the exported model. The network has the demo's shape (4.5 M weights)
with a context of 2,048, as five shots of MMLU need more than the demo's 256. Its weights are random: what is computed
does not depend on them. Made-up items have about the lengths of the real ones, which are asked too where they lie
beside the checkout.
"""

from __future__ import annotations

import csv
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from model.gpt import GPT
from model.huggingface.export import write_folder
from model.scoring import Scorer
from model.shape import GPTConfig
from model.tokenizer import PATTERNS, Tokenizer, specials_after
from tasks.benchmarks.base import Benchmark
from tasks.benchmarks.registry import BENCHMARKS
from tasks.evaluation.evaluate.asking import ask
from tasks.evaluation.evaluate.benchmarks import Asking, results_of
from tasks.synthetic.questions.chosen import Chosen
from tests.benchmarks.board import record
from tests.conftest import SHARED
from tests.parity.harness import offline, task_manager
from tests.parity.rows import words

pytestmark = [pytest.mark.benchmark, pytest.mark.usefixtures("one_thread")]

ITEMS, SHOTS, VOCAB, CONTEXT = 500, 5, 4096, 2048
BATCHES = {"hellaswag": (1, 8, 32), "mmlu": (1, 8), "mmlu_continuation": (1, 8)}
"""lm-eval's default batch, and larger ones; the fastest is the rival."""
GOALS = {"hellaswag": 1.5, "mmlu": 3.0, "mmlu_continuation": 5.0}
BOTH = ("HellaSwag, made up", "MMLU by letter, 5 shots, made up, 57 subjects")
LETTERS = "ABCD"
Rows = dict[str, dict[str, list[dict[str, Any]]]]
"""Rows by lm-eval's task and split."""


def made_up_hellaswag() -> Rows:
    source = random.Random(1)
    rows = [
        {
            "ind": number, "source_id": f"made_up~{number}", "label": str(source.randrange(4)),
            "activity_label": words(source, 1, 2), "ctx_a": words(source, 10, 55), "ctx_b": words(source, 1, 4),
            "ctx": "", "endings": [words(source, 8, 30) for _ in LETTERS],
        }
        for number in range(ITEMS)
    ]  # fmt: skip
    return {"hellaswag": {"validation": rows, "train": rows[:1]}}


def made_up_mmlu(task: str) -> Rows:
    """500 items of 57 subjects; a question has 15 to 60 words, a choice 2 to 12."""
    import lm_eval.tasks

    folder = Path(lm_eval.tasks.__file__).parent / "mmlu" / "default"
    subjects = sorted(path.stem.removeprefix("mmlu_") for path in folder.glob("mmlu_*.yaml") if _is_subject(path))
    source, found = random.Random(2), Rows()
    for number, subject in enumerate(subjects):
        rows = [
            {
                "question": words(source, 15, 60) + "?", "subject": subject,
                "choices": [words(source, 2, 12) for _ in LETTERS], "answer": source.randrange(4),
            }
            for _ in range(SHOTS + ITEMS // len(subjects) + (number < ITEMS % len(subjects)))
        ]  # fmt: skip
        found[f"mmlu_{subject}" + task.removeprefix("mmlu")] = {"dev": rows[:SHOTS], "test": rows[SHOTS:]}
    return found


def _is_subject(path: Path) -> bool:
    return "dataset_name" in path.read_text()


def official_hellaswag() -> Rows:
    """Of each item six lines: activity and context, the label, four endings."""
    (file,) = (SHARED / "02_hellaswag" / "rows").glob("*.txt")
    lines, rows = file.read_text().split("\n"), []
    for number in range(ITEMS):
        first, label, *endings = lines[6 * number : 6 * number + 6]
        activity, _, context = first.partition(": ")
        whole, dot, begun = context.rpartition(". ")
        fields = {"activity_label": activity, "ctx_a": whole + dot.strip(), "ctx_b": begun, "ctx": context}
        rows.append({"ind": number, **fields, "endings": endings, "label": label, "source_id": f"val~{number}"})
    return {"hellaswag": {"validation": rows, "train": rows[:1]}}


def official_mmlu(task: str) -> Rows:
    """The subjects that are there, evenly."""
    (folder,) = (SHARED / "03_mmlu").glob("*/data/mmlu")
    files, found = sorted((folder / "test").glob("*.csv")), Rows()
    for number, file in enumerate(files):
        subject = file.stem.removesuffix("_test")
        count = ITEMS // len(files) + (number < ITEMS % len(files))
        splits = {"dev": folder / "dev" / f"{subject}_dev.csv", "test": file}
        found[f"mmlu_{subject}" + task.removeprefix("mmlu")] = {
            split: [
                {"question": row[0], "subject": subject, "choices": row[1:5], "answer": LETTERS.index(row[5])}
                for row in csv.reader(path.read_text().splitlines())
            ][: SHOTS if split == "dev" else count]
            for split, path in splits.items()
        }
    return found


def texts_of(rows: Rows) -> list[str]:
    """All that is read, to learn a vocabulary from."""
    return [json.dumps(row) for splits in rows.values() for own in splits.values() for row in own]


def tokenizer_of(rows: Rows) -> Tokenizer:
    import rustbpe

    learner = rustbpe.Tokenizer()
    learner.train_from_iterator(iter(texts_of(rows)), VOCAB - 64, pattern=PATTERNS["gpt4"])
    ranks = {bytes(token): rank for token, rank in learner.get_mergeable_ranks()}
    return Tokenizer(ranks, PATTERNS["gpt4"], specials_after(len(ranks), 64))


def network(tokenizer: Tokenizer) -> GPT:
    shape = {"n_layer": 4, "n_head": 4, "n_kv_head": 4, "d_model": 256, "d_ff": 768, "max_seq_len": CONTEXT}
    return GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **shape)).initialise(0).eval()


def chosen_of(benchmark: Benchmark, rows: Rows) -> list[Chosen]:
    """The items with their shots, as the stage `questions` gives them to `evaluate`."""
    found = []
    for splits in rows.values():
        shots = [benchmark.item(row, "") for row in splits.get("dev", [])]
        asked = splits.get("test") or splits["validation"]
        items = [benchmark.item(row, "") for row in asked]
        found += [Chosen(item, benchmark.before(item, shots), len(shots)) for item in items]
    return found


def tasks_of(folder: Path, rows: Rows) -> tuple[Any, list[Any]]:
    """lm-eval's own tasks on these rows."""
    manager, made = task_manager(rows), []
    for name, splits in rows.items():
        files = {}
        for split, own in splits.items():
            path = folder / f"{name}-{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in own))
            files[split] = str(path)
        source = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
        made.append(manager._factory.build(manager._entry(name), overrides=source, registry=manager._index))
    return manager, made


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


OURS: Mapping[str, tuple[str, Callable[[str], Rows]]] = {
    "HellaSwag, made up": ("hellaswag", lambda _: made_up_hellaswag()),
    "HellaSwag, official": ("hellaswag", lambda _: official_hellaswag()),
    "MMLU by letter, 5 shots, made up, 57 subjects": ("mmlu", made_up_mmlu),
    "MMLU by letter, 5 shots, official, 12 subjects": ("mmlu", official_mmlu),
    "MMLU as text, 5 shots, made up, 57 subjects": ("mmlu_continuation", made_up_mmlu),
}


@pytest.fixture(scope="module")
def taken() -> dict[str, tuple[float, float]]:
    """The CPU seconds of both benchmarks of one run, ours and lm-eval's fastest."""
    return {}


@pytest.mark.parametrize("name", OURS)
def test_items_per_second(name: str, tmp_path: Path, taken: dict[str, tuple[float, float]]) -> None:
    pytest.importorskip("lm_eval")
    if "official" in name and not SHARED.is_dir():
        pytest.skip("The official items do not lie beside the checkout.")
    task, read = OURS[name]
    rows = read(task)
    benchmark, tokenizer = BENCHMARKS[task], tokenizer_of(rows)
    model = network(tokenizer)
    asking = Asking(benchmark, chosen_of(benchmark, rows), ITEMS)
    assert len(asking.chosen) == ITEMS

    def mine(chosen: Sequence[Chosen]) -> Any:
        replies = ask(Scorer(model, tokenizer.encode, tokenizer.bos), nothing_is_written, benchmark, chosen)
        return replies, results_of(Asking(benchmark, chosen, len(chosen)), replies, 0).summary()

    mine(asking.chosen[:10])  # the first forward passes allocate what later ones use again
    seconds, (replies, summary) = timed(lambda: mine(asking.chosen))

    write_folder(model, tokenizer, tmp_path / "model", chat=False)
    rivals = {}
    for batch in BATCHES[task]:
        theirs, values, accuracy = by_lm_eval(tmp_path, rows, batch)
        rivals[f"lm-eval, batch {batch}"] = ITEMS / theirs
        scores = [value for reply in replies for value in reply.answered.log_likelihoods]
        assert scores == pytest.approx(values, rel=1e-5)
        assert accuracy == pytest.approx(summary["acc"])
    taken[name] = seconds, ITEMS / max(rivals.values())
    ratio = record(name, ITEMS / seconds, rivals, unit="items/s of one core", board="eval")
    print(f"\n{name}: {ITEMS / seconds:.1f} items/s, lm-eval {rivals}: {ratio:.2f} times as fast")
    assert ratio is not None
    assert ratio > GOALS[task]


def test_both_benchmarks_of_one_run(taken: dict[str, tuple[float, float]]) -> None:
    if not set(BOTH) <= set(taken):
        pytest.skip("Both benchmarks have to be measured in the same run.")
    ours, theirs = (sum(taken[name][place] for name in BOTH) for place in (0, 1))
    name = "HellaSwag and MMLU by letter, 500 items each, made up"
    ratio = record(
        name, ours, {"lm-eval, fastest batch": theirs}, unit="CPU seconds", board="eval", more_is_better=False
    )
    assert ratio is not None
    assert ratio > 3


def by_lm_eval(folder: Path, rows: Rows, batch: int) -> tuple[float, list[float], float]:
    """Return the CPU seconds of lm-eval's loop, all log-likelihoods in the order of the items, and the accuracy."""
    with offline(folder / "cache"):
        import datasets
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM

        datasets.disable_progress_bars()
        manager, tasks = tasks_of(folder, rows)
        rival = HFLM(
            pretrained=str(folder / "model"), device="cpu", dtype="float32", batch_size=batch, add_bos_token=False
        )

        def run(limit: int | None) -> Any:
            return simple_evaluate(
                model=rival, tasks=tasks, num_fewshot=SHOTS if len(rows) > 1 else 0, bootstrap_iters=0, limit=limit,
                log_samples=True, task_manager=manager, verbosity="ERROR",
            )  # fmt: skip

        run(2)
        taken, found = timed(lambda: run(None))
    samples = [one for task in rows for one in sorted(found["samples"][task], key=lambda one: one["doc_id"])]
    values = [reply[0][0] for one in samples for reply in one["resps"]]
    return taken, values, sum(one["acc"] for one in samples) / len(samples)


def nothing_is_written(*_: object) -> Any:
    raise AssertionError("multiple choice is not written")
