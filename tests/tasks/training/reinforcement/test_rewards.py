"""tasks/training/reinforcement: what answers are worth, by functions, the user's own tests and a model; the tasks.

Also covers: tasks/training/reinforcement/items.py
Also covers: tasks/training/reinforcement/user_tests.py
Also covers: tasks/synthetic/verifiable.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.stage import PermanentError
from tasks.synthetic.pydoc import Entry
from tasks.synthetic.verifiable import Task, of_entry, sums
from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.reinforcement.items import sources_of
from tasks.training.reinforcement.rewards import Judge

TASK = Task("What is 1 + 1?", "", "2", "1 + 1")


class Fixed:
    """A reward model that likes long answers."""

    def score(self, prompts: Sequence[tuple[str, str]], answers: Sequence[str]) -> list[float]:
        assert prompts == [("What is 1 + 1?", "")] * len(answers)
        return [float(len(answer)) for answer in answers]


def judged(rewards: dict[str, Any], *answers: str) -> tuple[dict[str, list[float]], Judge]:
    judge = Judge(ReinforcementConfig.model_validate({"rewards": rewards, "max_tokens": 8}), Fixed())
    n = len(answers)
    return judge.values([TASK] * n, answers, [4] * n, [answer == "2" for answer in answers]), judge


def test_functions_and_a_model_are_weighted_together() -> None:
    weights = {"exact": 1, "contains": 2, "format": 4, "pattern": r"\d", "length": 8, "ended": 16, "model": 0.5}
    found, _ = judged(weights, "2", " `2` ", "it is 2\nnow", "3")
    assert found.pop("reward") == [27.5, 9.5, 11.5, 8.5]
    assert found == {
        "exact": [1, 1, 0, 0], "contains": [1, 1, 1, 0], "format": [1, 0, 0, 1], "length": [0.5] * 4,
        "ended": [1, 0, 0, 0], "model": [1, 5, 11, 1],
    }  # fmt: skip


def test_a_user_s_tests_run_with_limits_and_what_fails_is_worth_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def reward(prompt, answer, expected):\n"
        "    print('noise')\n"
        "    space = {}\n"
        "    exec(answer, space)\n"
        "    return space['x'] + (prompt == 'What is 1 + 1?') + (expected == '2')\n"
    )
    given = {"exact": 0, "tests": 1, "tests_file": str(file), "tests_seconds": 0.3, "tests_megabytes": 300}
    bad = ("while True: pass", "x = len(bytes(10**9))", "y", "import os; os._exit(0)", "x = float('nan')")
    found, judge = judged(given, "x = 2.5", *bad, "x = 1")
    assert found["tests"] == [4.5, 0, 0, 0, 0, 0, 3]
    assert judge.failed_tests == 5
    file.write_text("reward = 3\n")
    with pytest.raises(PermanentError, match=r"mine.py .*it defines no function reward"):
        judged(given, "x = 1")


def test_an_edited_file_of_tests_is_another_training(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def reward(*_): return 1\n")
    config = ReinforcementConfig.model_validate({"rewards": {"tests": 1, "tests_file": str(file)}})
    before = sources_of(config, "grpo")
    file.write_text("def reward(*_): return 2\n")
    assert before != sources_of(config, "grpo")
    assert sources_of(ReinforcementConfig(), "grpo") is None


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        ({"exact": 0}, "all rewards have the weight 0"),
        ({"tests": 1}, "tests and tests_file belong together"),
        ({"format": 1, "pattern": "("}, "is no regular expression"),
    ],
)
def test_rewards_that_cannot_be_are_refused(rewards: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ReinforcementConfig.model_validate({"rewards": rewards})


def test_tasks_have_answers_that_stand_in_their_page() -> None:
    entry = Entry("textwrap", "dedent", "text", "function", ("Remove common whitespace.",))
    made = {kind: of_entry(kind, entry, 80) for kind in ("call", "module", "copy")}
    assert {kind: task and task.answer for kind, task in made.items()} == {
        "call": "`textwrap.dedent(text)`", "module": "`textwrap`", "copy": "`textwrap.dedent`"
    }  # fmt: skip
    assert made["module"] is not None
    assert "textwrap" in made["module"].input
    assert of_entry("call", Entry("m", "_private", "", "function", ("It is private.",)), 80) is None
    every = list(sums())
    assert len({task.instruction for task in every}) == len(every) == 31 * 31
    assert all(eval(task.place) == int(task.answer) for task in every)
