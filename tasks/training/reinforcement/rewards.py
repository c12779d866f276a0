"""What answers are worth: functions that a program can compute, the user's own tests, and a reward model, weighted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from tasks.synthetic.verifiable import Task
from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.reinforcement.user_tests import run_tests


class Scorer(Protocol):
    """Scores answers to prompts (instruction, input), as a reward model does."""

    def score(self, prompts: Sequence[tuple[str, str]], answers: Sequence[str]) -> list[float]: ...


class Judge:
    """Scores answers as the recipe says."""

    def __init__(self, config: ReinforcementConfig, scorer: Scorer | None = None) -> None:
        self.rewards, self.longest, self.scorer = config.rewards, config.max_tokens, scorer
        self.failed_tests = 0
        """Calls of the user's tests that ended without a number."""

    def values(
        self, tasks: Sequence[Task], answers: Sequence[str], lengths: Sequence[int], ended: Sequence[bool]
    ) -> dict[str, list[float]]:
        """Return by name the value of each reward with a weight, for each answer; and `reward`, their weighted sum."""
        weights = self.rewards.weights()
        found = {name: self._of(name, tasks, answers, lengths, ended) for name in weights}
        total = [sum(weights[name] * found[name][place] for name in weights) for place in range(len(answers))]
        return {"reward": total, **found}

    def _of(
        self, name: str, tasks: Sequence[Task], answers: Sequence[str], lengths: Sequence[int], ended: Sequence[bool]
    ) -> list[float]:
        if name == "exact":
            return [float(plain(text) == plain(task.answer)) for task, text in zip(tasks, answers, strict=True)]
        if name == "contains":
            return [float(plain(task.answer) in text) for task, text in zip(tasks, answers, strict=True)]
        if name == "format":
            pattern = re.compile(self.rewards.pattern, re.DOTALL)
            return [float(pattern.fullmatch(text) is not None) for text in answers]
        if name == "length":
            return [1 - length / self.longest for length in lengths]
        if name == "ended":
            return [float(one) for one in ended]
        if name == "tests":
            calls = [
                (f"{task.instruction}\n\n{task.input}".strip(), text, task.answer)
                for task, text in zip(tasks, answers, strict=True)
            ]
            values, failed = run_tests(self.rewards, calls)
            self.failed_tests += failed
            return values
        assert self.scorer is not None, "the check before the run asks for it"
        return self.scorer.score([(task.instruction, task.input) for task in tasks], answers)


def plain(text: str) -> str:
    """Return an answer without the spaces and backquotes around it."""
    return text.strip().strip("`").strip()
