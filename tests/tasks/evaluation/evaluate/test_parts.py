"""evaluation/evaluate/parts.py: an interrupted evaluation goes on, and ends with the same bytes; its progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.benchmarks.base import Item
from tasks.benchmarks.registry import BENCHMARKS
from tasks.evaluation.evaluate import EvaluateConfig, evaluate
from tasks.evaluation.evaluate.benchmarks import Asking
from tasks.evaluation.evaluate.parts import HELD_OUT, Parts, sizes_of
from tasks.stage import Output, local_output
from tasks.synthetic.questions import QuestionsConfig, questions
from tasks.synthetic.questions.chosen import Chosen
from tasks.synthetic.questions.files import HeldOut
from tasks.training.pretrain import PretrainConfig, pretrain
from tests.tasks.pydoc_corpus import PRETRAIN, build_corpus, make

CONFIG = EvaluateConfig(threads=1, bootstrap=100)
FILES = ("results.json", "per_item.parquet", "per_document.parquet")


class Watched(Output):
    """An output that notes what it is told of progress, and whose process ends at the beginning of a part."""

    end_at, kill = "", False

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        self.told = [*getattr(self, "told", []), (note, done, total)]
        if note == self.end_at and self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if note == self.end_at:
            raise OSError("No space left on device")


def output(folder: Path, end_at: str = "", kill: bool = False) -> Watched:
    folder.mkdir(exist_ok=True)
    out = Watched(folder)
    out.end_at, out.kill = end_at, kill
    return out


def inputs_of(folder: Path) -> dict[str, Artifact]:
    """The artifacts in a lake that the fixture made."""
    lake = Lake(folder)
    return {"model": lake.artifacts("pretrain")[0], "questions": lake.artifacts("questions")[0]}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake, built = build_corpus(tmp_path_factory.mktemp("corpus"))
    make(pretrain, lake, PretrainConfig(**PRETRAIN), built)
    make(questions, lake, QuestionsConfig(max_items=12), built)
    return lake.root


def test_an_interrupted_evaluation_goes_on_and_ends_with_the_same_bytes(lake: Path, tmp_path: Path) -> None:
    given = inputs_of(lake)
    evaluate(CONFIG, local_output(tmp_path / "whole"), **given)
    with pytest.raises(OSError, match="No space left"):
        evaluate(CONFIG, output(tmp_path / "cut", "mmlu_letters"), **given)
    again = output(tmp_path / "cut")
    evaluate(CONFIG, again, **given)
    assert {note for note, _, _ in again.told} == {"mmlu_letters", "mmlu_cloze"}
    for name in FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name


def test_progress_never_goes_back_and_ends_at_the_whole(lake: Path, tmp_path: Path) -> None:
    out = output(tmp_path / "out")
    evaluate(CONFIG, out, **inputs_of(lake))
    assert list(dict.fromkeys(note for note, _, _ in out.told)) == [
        HELD_OUT, "hellaswag", "mmlu_letters", "mmlu_cloze",
    ]  # fmt: skip
    done, totals = [done for _, done, _ in out.told], {total for _, _, total in out.told}
    assert done == sorted(done)
    assert len(set(done)) > 8  # within the parts as well
    (total,) = totals
    assert 0.8 < done[-1] / total <= 1


@pytest.mark.e2e
def test_a_killed_evaluation_goes_on(lake: Path, tmp_path: Path) -> None:
    evaluate(CONFIG, local_output(tmp_path / "whole"), **inputs_of(lake))
    code = (
        "import sys; from pathlib import Path; from tasks.evaluation.evaluate import evaluate; "
        "from tests.tasks.evaluation.evaluate.test_parts import CONFIG, inputs_of, output; "
        "evaluate(CONFIG, output(Path(sys.argv[2]), sys.argv[3], True), **inputs_of(Path(sys.argv[1])))"
    )
    run = [sys.executable, "-c", code, str(lake), str(tmp_path / "cut")]
    for part in ("hellaswag", "mmlu_cloze"):
        assert subprocess.run([*run, part]).returncode == -signal.SIGKILL
    again = output(tmp_path / "cut")
    evaluate(CONFIG, again, **inputs_of(lake))
    assert {note for note, _, _ in again.told} == {"mmlu_cloze"}
    for name in FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name


def test_what_was_kept_is_not_done_again(tmp_path: Path) -> None:
    sizes, out = {"one": 400, "two": 100}, output(tmp_path / "out")
    parts, done = Parts(out, sizes), []

    def do() -> list[float]:
        done.append(1)
        parts.read(150)  # of about 100 tokens: what is known of their length is corrected later
        return [0.1, -1 / 3]

    assert [parts.kept("one", do), parts.kept("one", do)] == [[0.1, -1 / 3]] * 2
    assert len(done) == 1
    assert out.told == [("one", 0, 500), ("one", 400, 500)]
    again = output(tmp_path / "out")
    parts = Parts(again, sizes)
    assert parts.kept("one", do) == [0.1, -1 / 3]
    parts.kept("two", do)
    assert again.told == [("two", 400, 500), ("two", 500, 500)]


def test_what_requests_begin_with_counts_once() -> None:
    mmlu, piqa = BENCHMARKS["mmlu"], BENCHMARKS["piqa"]
    item = Item(("x" * 50,), ("aa", "bbb"))
    askings = {
        "mmlu": Asking(mmlu, [Chosen(item, "s" * 700, 5)] * 3 + [Chosen(item, "t" * 300, 5)], 4),
        "piqa": Asking(piqa, [Chosen(item, "", 0)] * 2, 2),
        "gsm8k": Asking(BENCHMARKS["gsm8k"], [Chosen(item, "s" * 100, 5)] * 2, 2),
        "wikitext": Asking(BENCHMARKS["wikitext"], [Chosen(Item(("",), ("w" * 90,)), "", 0)], 1),
    }
    texts = [HeldOut("d", None, "s", None, "abc")] * 2
    plain = {HELD_OUT: 6, "mmlu": 1000 + 4 * 55, "piqa": 110, "gsm8k": 2 * (150 + 1024), "wikitext": 90}
    assert sizes_of(texts, askings, controls=False) == plain
    # the choices in another order, and without the question
    again = {"mmlu": 2 * plain["mmlu"] + 1000 + 20, "piqa": 110 + 10}
    assert sizes_of(texts, askings, controls=True) == plain | again
