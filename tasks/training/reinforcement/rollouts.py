"""Rollouts: answers that the model draws itself, what they are worth, and the batch that they become.

Which tasks a step asks, and every random number of its draws, follow from the seed and the step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data_lake.tables.draws import hash_draw
from data_lake.tokens.order import draws_of_step, shuffled
from tasks.synthetic.verifiable import Task
from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.reinforcement.rewards import Judge

if TYPE_CHECKING:
    from model.batches import Batch
    from model.chat import Example
    from model.gpt import GPT
    from model.templates import TemplateName
    from model.tokenizer import Tokenizer

MEASURE = "measure_"
"""Facts of a batch whose names begin so are means to report."""
SIDE_BY_SIDE = 64  # answers that grow together


@dataclass(frozen=True)
class Rollouts:
    """Answers to tasks, in order, `group` to each task, and the value of each reward for each of them."""

    tasks: list[Task]
    texts: list[str]
    examples: list[Example]
    ended: list[bool]
    values: dict[str, list[float]]
    group: int

    @property
    def lengths(self) -> list[int]:
        """Tokens of each answer, its end token included."""
        return [end - start for example in self.examples for start, end in example.answers]

    def spreads(self) -> list[float]:
        """Return for each task the difference between its best and its worst answer."""
        rewards = self.values["reward"]
        parts = [rewards[start : start + self.group] for start in range(0, len(rewards), self.group)]
        return [max(part) - min(part) for part in parts]

    def alike(self, *, by_task: bool) -> bool:
        """Whether all answers are worth the same; `by_task` = all to the same task, whatever those to others are."""
        return not any(self.spreads()) if by_task else len(set(self.values["reward"])) == 1


class Drawer:
    """Draws answers with a model."""

    def __init__(self, config: ReinforcementConfig, tokenizer: Tokenizer, template: TemplateName, judge: Judge) -> None:
        self.config, self.tokenizer, self.template, self.judge = config, tokenizer, template, judge

    def draw(self, model: GPT, tasks: Sequence[Task], group: int, *salt: str) -> Rollouts:
        """Draw `group` answers to each task; the random numbers follow from the seed, the salt and the place."""
        from model.chat import Example, prompt_ids, stop_ids
        from model.generate import generate_batch
        from model.sampling import Sampling

        asked = [task for task in tasks for _ in range(group)]
        prompts = [prompt_ids(self.tokenizer, one.instruction, one.input, template=self.template) for one in asked]
        seed = str(self.config.training.seed)
        samplings = [
            Sampling(self.config.temperature, seed=hash_draw("rollout", seed, *salt, str(place)) >> 1)
            for place in range(len(asked))
        ]
        stops = stop_ids(self.tokenizer, self.template)
        made = generate_batch(model, prompts, self.config.max_tokens, samplings, stops, batch_size=SIDE_BY_SIDE)
        examples = []
        for prompt, one in zip(prompts, made, strict=True):
            ids = (*prompt, *one.ids, *(() if one.end is None else (one.end,)))
            examples.append(Example(ids, ((len(prompt), len(ids)),)))
        texts = [self.tokenizer.decode(one.ids) for one in made]
        ended = [one.ended for one in made]
        drawn = Rollouts(asked, texts, examples, ended, {}, group)
        return replace(drawn, values=self.judge.values(asked, texts, drawn.lengths, ended))


def tasks_of_step(tasks: Sequence[Task], count: int, step: int, seed: int) -> list[Task]:
    """Return the `count` tasks of a step: each comes once per epoch, reshuffled each time."""
    return [tasks[i] for i in shuffled(draws_of_step(step, count), len(tasks), seed)]


def batch_of_rollouts(drawn: Rollouts, pad: int) -> Batch:
    """Return the answers as a batch, with the means to report of them as facts of its rows."""
    import torch

    from model.batches import answer_batch

    rewards = torch.tensor(drawn.values["reward"])
    facts = {f"{MEASURE}{_named(name)}": torch.tensor(values) for name, values in drawn.values.items()}
    facts |= {
        f"{MEASURE}reward_std": (rewards.std() if len(rewards) > 1 else rewards.new_zeros(())).expand(len(rewards)),
        f"{MEASURE}answer_tokens": torch.tensor([float(length) for length in drawn.lengths]),
        f"{MEASURE}share_ended": torch.tensor([float(one) for one in drawn.ended]),
    }
    if drawn.group > 1:
        flat = [float(spread == 0) for spread in drawn.spreads() for _ in range(drawn.group)]
        facts[f"{MEASURE}frac_reward_zero_std"] = torch.tensor(flat)
    return replace(answer_batch(drawn.examples, pad), facts=facts, group=drawn.group)


def _named(name: str) -> str:
    return name if name == "reward" else f"reward_{name}"


def reported(batch: Batch) -> dict[str, tuple[float, float]]:
    """Return the means that a batch brings, as sums and numbers of rows."""
    rows = len(batch.inputs)
    return {
        name.removeprefix(MEASURE): (float(values.sum()), rows)
        for name, values in batch.facts.items()
        if name.startswith(MEASURE)
    }
