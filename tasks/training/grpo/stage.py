"""The grpo stage: a model tries tasks that a program can check, and learns from which of its answers were better."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.stage import Output, kinds, stage
from tasks.stage.work import fine_tuning
from tasks.training.grpo.config import GrpoConfig
from tasks.training.grpo.preflight import check
from tasks.training.reinforcement.course import Course, rewarded_contract
from tasks.training.reinforcement.items import sources_of
from tasks.training.reinforcement.policy_step import policy_step
from tasks.training.written import write_model

if TYPE_CHECKING:
    import torch

    from model.batches import Batch
    from model.gpt import GPT
    from model.trainer import Loss


def sources(config: GrpoConfig) -> str | None:
    """Return a fingerprint of the user's files."""
    return sources_of(config, "grpo")


@stage(
    makes=kinds.Model,
    headline=("reward",),
    version=1,
    contract=rewarded_contract,
    sources=sources,
    check=check,
    gpu=True,
    work=fine_tuning,
)
def grpo(
    config: GrpoConfig,
    out: Output,
    base: kinds.Model,
    corpus: kinds.Corpus | None = None,
    reward: kinds.RewardModel | None = None,
) -> None:
    """Learn from groups of answers to the same task.

    `reward` is the mean of what answers to held-out tasks are worth, `reward_before` that of the base's, `gain` their
    difference with the standard error of paired tasks. `frac_reward_zero_std` is the share of groups whose answers are
    all worth the same, from which nothing is learned.
    """
    course = Course.begin(config, out, base, corpus, reward, group=config.group)

    def batches_of(step: int) -> list[Batch]:
        return [_with_advantages(config, course.drawn(step))] * config.reuse

    def objective(model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        return policy_loss(config, model, batch, dtype)

    history = course.train(objective, batches_of)
    samples = course.finish(history, course.model)
    write_model(out, course.model, course.drawer.tokenizer, samples, course.drawer.template)


def _with_advantages(config: GrpoConfig, batch: Batch) -> Batch:
    from model.policy import divisor, group_advantages

    rewards = batch.facts["measure_reward"]
    advantages = group_advantages(rewards, config.group, scaled=config.loss != "dr_grpo")
    count = divisor(config.loss, len(rewards), batch.n_valid, config.max_tokens)
    return replace(batch, facts={**batch.facts, "advantages": advantages[:, None]}, count=count)


def policy_loss(config: GrpoConfig, model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
    """Return the summed loss of a (micro-)batch of answers."""
    from model.policy import weighed_sum
    from model.trainer import Loss

    high = config.clip if config.clip_high is None else config.clip_high
    step = policy_step(config, model, batch, dtype, high)
    return Loss(weighed_sum(config.loss, step.losses + config.kl_weight * step.kl, step.counted), step.measures)
