"""The course of a stage that learns from rewards: measured, trained under guards, measured again."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.figures import curve
from tasks.stage.gains import paired
from tasks.synthetic.verifiable import Task
from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.reinforcement.items import gather_tasks
from tasks.training.reinforcement.rewards import Judge
from tasks.training.reinforcement.rollouts import Drawer, Rollouts, batch_of_rollouts, tasks_of_step
from tasks.training.reward.scoring import RewardScorer
from tasks.training.train import train
from tasks.training.trained import chat_template_of, load_trained
from tasks.training.written import whole_model

if TYPE_CHECKING:
    from torch import Tensor

    from model.batches import Batch
    from model.gpt import GPT
    from model.trainer import History, Objective

SHOWN = {
    "rewards": ("reward", "reward of the answers drawn"),
    "kl": ("kl", "KL to the base in nats per token"),
    "entropy": ("entropy", "entropy of a token in nats"),
    "lengths": ("answer_tokens", "tokens of an answer"),
    "ended": ("share_ended", "share of answers that the model ended"),
    "values": ("explained_variance", "share of the returns' variance that the values foretell"),
}
"""By figure the measure that it draws, and its label; a stage that lacks the measure lacks the figure."""


def rewarded_contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete, and that it was measured before and after."""
    yield from whole_model(artifact)
    for name in ("reward_before", "reward"):
        value = artifact.metrics.get(name)
        if value is None or not math.isfinite(value):
            yield f"The metric {name} is {value}, not a number."


@dataclass
class Course:
    """What a stage needs while it learns from rewards. `model` is the network that is trained.

    `group` answers are drawn to each prompt.
    """

    config: ReinforcementConfig
    out: Output
    base: Artifact
    drawer: Drawer
    tasks: dict[str, list[Task]]
    model: GPT
    before: Rollouts
    group: int
    reference: GPT | None = None

    @classmethod
    def begin(
        cls,
        config: ReinforcementConfig,
        out: Output,
        base: Artifact,
        corpus: Artifact | None,
        reward: Artifact | None,
        *,
        group: int,
    ) -> Course:
        """Load the base, gather the tasks, and measure it; raises PermanentError if something does not fit."""
        from model.hardware import choose_device

        model, tokenizer = load_trained(base)
        model.to(choose_device(config.runtime.device))
        template = chat_template_of(base) or "textmill"
        if "model" in config.rewards.weights() and reward is None:
            raise PermanentError("rewards.model has a weight, but the recipe trains no reward model: add `reward`.")
        tasks = gather_tasks(config, out, corpus, tokenizer, model.config.max_seq_len, template)
        scorer = RewardScorer(reward) if reward is not None else None
        drawer = Drawer(config, tokenizer, template, Judge(config, scorer))
        before = drawer.draw(model, tasks["val"], config.measured, "held out")
        course = cls(config, out, base, drawer, tasks, model, before, group)
        if before.alike(by_task=group > 1 and config.measured > 1):
            out.warning(
                f"All answers to {'each held-out task' if group > 1 else 'held-out tasks'} are worth the same before "
                "training, so there may be nothing to learn from: take easier tasks, or rewards that tell answers "
                "apart."
            )
        if config.adapter is None:
            course.reference, _ = load_trained(base)
            course.reference.to(model.device)
            size = sum(weight.numel() * weight.element_size() for weight in course.reference.parameters())
            out.info(f"The reference model takes {size / 2**20:,.0f} MiB beside the one that is trained.")
        else:
            out.info("The reference model is the adapted one with its adapter off; it takes no memory.")
        return course

    def drawn(self, step: int) -> Batch:
        """Return the answers that the model draws at a step, with `old` and `reference` log-probabilities in the facts.

        A network with values has those in `values`. Raises ValueError if the model has gone too far from the base, or
        its answers have become too long.
        """
        config = self.config
        count = config.training.batch_size // self.group
        tasks = tasks_of_step(self.tasks["train"], count, step // config.reuse, config.training.seed)
        drawn = self.drawer.draw(self.model, tasks, self.group, "step", str(step))
        batch = batch_of_rollouts(drawn, self.drawer.tokenizer.pad)
        read = self._read(self.model, batch)
        with self._as_base() as reference:
            before = self._read(reference, batch)["log_probs"]
        facts = {**read, "old": read.pop("log_probs"), "reference": before}
        self._guard(step, drawn, batch, facts["old"], before)
        return replace(batch, facts={**batch.facts, **facts})

    def _read(self, model: GPT, batch: Batch) -> dict[str, Tensor]:
        """Return the `log_probs` of the targets, and their `values` from a network that has them; without gradients."""
        import torch

        from model.log_probs import policy_tokens
        from model.valued import Valued

        was_training = model.training
        model.eval()
        parts: list[dict[str, Tensor]] = []
        with torch.no_grad():  # not inference mode: the loss keeps these numbers for its gradient
            for part in batch.split(self.config.runtime.micro_batch):
                tokens = policy_tokens(model, part.to(model.device), temperature=self.config.temperature)
                parts.append({"log_probs": tokens.log_probs.cpu()})
                if isinstance(model, Valued):
                    parts[-1]["values"] = model.values(tokens.states).cpu()
        model.train(was_training)
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    @contextlib.contextmanager
    def _as_base(self) -> Iterator[GPT]:
        from model.lora import adapters_off

        if self.reference is not None:
            yield self.reference
        else:
            with adapters_off(self.model) as model:
                yield model

    def _guard(self, step: int, drawn: Rollouts, batch: Batch, old: Tensor, before: Tensor) -> None:
        from model.policy import kl_estimates

        config = self.config
        kl = float(kl_estimates(old, before).sum()) / batch.n_valid
        if config.max_kl is not None and not kl <= config.max_kl:
            raise ValueError(
                f"At step {step} the KL to the base is {kl:.2f} nats per token, more than max_kl ({config.max_kl:g}): "
                "the model finds its reward in texts that the base would not write. Lower training.learning_rate or "
                "training.steps, or raise the weight of the KL."
            )
        at_first = statistics.fmean(self.before.lengths)
        now = statistics.fmean(drawn.lengths)
        if config.max_growth is not None and now > config.max_growth * at_first:
            raise ValueError(
                f"At step {step} an answer has {now:.1f} tokens, the base's had {at_first:.1f}, and max_growth allows "
                f"{config.max_growth:g} times as many: the reward is found in length. Give rewards.length or "
                "rewards.ended a weight, or lower max_tokens."
            )

    def train(self, objective: Objective, batches_of: Callable[[int], Sequence[Batch]]) -> History:
        """Train the model; `batches_of(step)` makes the batches of the `reuse` steps on the same answers."""
        from model import batches

        config = self.config
        return train(
            self.out,
            self.model,
            config.training,
            config.runtime,
            batches.Rollouts(batches_of, config.reuse),
            self._validate,
            objective=objective,
            adapter=config.adapter,
        )

    def _validate(self, model: GPT, last: bool) -> dict[str, float]:
        """Return the mean reward of held-out tasks; at the end it is measured with the finished model."""
        if last:
            return {}
        found = self.drawer.draw(model, self.tasks["val"], self.config.measured, "held out")
        return {"reward": statistics.fmean(found.values["reward"])}

    def finish(self, history: History, model: GPT) -> list[dict[str, Any]]:
        """Measure the finished model, report what was gained, and return samples before and after.

        `model` is the network that is written, without what only training needs.
        """
        after = self.drawer.draw(model, self.tasks["val"], self.config.measured, "held out")
        names = list(after.values)
        for name in names:
            first, second = (self._means(one.values[name]) for one in (self.before, after))
            label = name if name == "reward" else f"reward_{name}"
            self.out.metric(**{f"{label}_before": statistics.fmean(first), label: statistics.fmean(second)})
            if name == "reward":
                self.out.metric(reward_before_stderr=_stderr(first), reward_stderr=_stderr(second))
                self.out.gain(paired("reward of a task's answers", "before", first, second))
        self.out.metric(
            answer_tokens_before=statistics.fmean(self.before.lengths),
            answer_tokens=statistics.fmean(after.lengths),
            share_ended_before=statistics.fmean(map(float, self.before.ended)),
            share_ended=statistics.fmean(map(float, after.ended)),
        )
        if self.drawer.judge.failed_tests:
            self.out.warning(f"{self.drawer.judge.failed_tests:,} calls of rewards.tests_file ended without a number.")
        self._draw_curves(history)
        return self._samples(after)

    def _means(self, values: Sequence[float]) -> list[float]:
        """Return the mean of each held-out task's answers."""
        size = self.config.measured
        return [statistics.fmean(values[start : start + size]) for start in range(0, len(values), size)]

    def _draw_curves(self, history: History) -> None:
        for figure, (name, label) in SHOWN.items():
            points = [(point["step"], point[name]) for point in history.steps if name in point]
            if not points:
                continue
            series = {"training": ([x for x, _ in points], [y for _, y in points])}
            held = [(point["step"], point[name]) for point in history.validations if name in point]
            if held:
                series["held out"] = ([x for x, _ in held], [y for _, y in held])
            self.out.figure(figure, curve(series, "learning from rewards", "step", label))

    def _samples(self, after: Rollouts) -> list[dict[str, Any]]:
        rows = []
        for number, task in enumerate(self.tasks["val"][: self.config.samples]):
            place = number * self.config.measured
            rows.append(
                {
                    "instruction": task.instruction,
                    "input": task.input,
                    "output": task.answer,
                    "before": self.before.texts[place],
                    "reward_before": self.before.values["reward"][place],
                    "answer": after.texts[place],
                    "reward": after.values["reward"][place],
                    "ended": after.ended[place],
                }
            )
        return rows


def _stderr(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
