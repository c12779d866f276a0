"""The settings that all stages that learn from rewards have in common."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from model.adapter import Adapter
from model.config import Runtime, Training
from model.settings import Settings
from tasks.stage import Execution, StageConfig
from tasks.synthetic.verifiable import TaskName


class Rewards(Settings):
    """The weight of each reward; an answer's reward is the sum of weight × value over those that are not 0."""

    exact: float = Field(
        1.0, description="1 if the answer is the right one, apart from spaces and backquotes around it"
    )
    contains: float = Field(0.0, description="1 if the right answer stands in it")
    format: float = Field(0.0, description="1 if the whole answer matches `pattern`")
    pattern: str = Field(r"\S.*", description="regular expression (Python's re, . also a line break) for `format`")
    length: float = Field(0.0, description="1 - tokens / max_tokens: short answers are worth more")
    ended: float = Field(0.0, description="1 if the model itself ended its answer")
    tests: float = Field(0.0, description="what reward(prompt, answer, expected) of `tests_file` returns")
    tests_file: str | None = Field(
        None, description="a Python file of yours, which is trusted: it runs in a process of its own, with limits"
    )
    tests_seconds: float = Field(2.0, gt=0, description="CPU seconds of one call of `tests_file`; then it is worth 0")
    tests_megabytes: int = Field(1024, ge=64, description="memory of one call of `tests_file`; then it is worth 0")
    model: float = Field(0.0, description="the score of the reward model that the recipe trains (`reward`)")

    @field_validator("pattern")
    @classmethod
    def _is_an_expression(cls, pattern: str) -> str:
        try:
            re.compile(pattern, re.DOTALL)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if not self.weights():
            raise ValueError("all rewards have the weight 0, so that no answer is better than another; give one")
        if bool(self.tests) != (self.tests_file is not None):
            raise ValueError("tests and tests_file belong together: a weight, and the file that is run")
        return self

    def weights(self) -> dict[str, float]:
        """Return the weights that are not 0, by name."""
        names = ("exact", "contains", "format", "length", "ended", "tests", "model")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


class ReinforcementConfig(StageConfig):
    """Which tasks the model tries, what an answer is worth, and when learning stops."""

    data: tuple[str, ...] = Field(
        (),
        description="files, globs or folders with tasks of yours, such as jsonl with prompt and answer; none = made "
        "from the corpus",
    )
    tasks: tuple[TaskName, ...] = Field(
        ("call",),
        min_length=1,
        description="tasks made without `data`: call = how a documented name is called; module = which module defines "
        "it, given its entry; copy = repeat a name; arithmetic = sums of numbers up to 30",
    )
    validation: float = Field(0.1, gt=0, lt=1, description="share of `data` and of sums held out, by hash")
    max_examples: int = Field(2000, ge=1, description="largest number of training tasks; chosen by hash")
    held_out: int = Field(64, ge=2, description="largest number of held-out tasks that the model is measured on")
    measured: int = Field(4, ge=1, description="answers drawn to each held-out task; their mean counts")
    rewards: Rewards = Field(Rewards(), description="what an answer is worth")
    max_tokens: int = Field(32, ge=1, description="longest answer, its end token included")
    temperature: float = Field(1.0, gt=0, description="of the draws; probabilities in the loss are those of the draws")
    reuse: int = Field(1, ge=1, description="optimizer steps on the same answers, before new ones are drawn")
    clip: float = Field(0.2, gt=0, lt=1, description="largest change of a token's probability that pays, as a share")
    max_kl: float | None = Field(
        1.0, gt=0, description="the run ends if the KL to the base is more nats per token than that; null = never"
    )
    max_growth: float | None = Field(
        4.0, gt=1, description="the run ends if answers are longer than the base's by this factor; null = never"
    )
    training: Training = Field(
        Training(steps=100, batch_size=64, learning_rate=1e-5, weight_decay=0.0, schedule="constant", warmup=0.0),
        description="optimizer and schedule; batch_size counts answers",
    )
    adapter: Adapter | None = Field(
        None, description="low-rank adapter (LoRA) that is trained instead of all weights; null = all weights"
    )
    samples: int = Field(8, ge=0, description="held-out tasks whose answers are shown, before and after")
    runtime: Runtime = Execution(Runtime(), description="hardware, splits and intervals; they never enter the key")
