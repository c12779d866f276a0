"""The ppo stage: a model tries tasks that a program can check, and learns from what came beyond the foretold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.stage import Output, kinds, stage
from tasks.stage.work import fine_tuning
from tasks.training.ppo.config import PpoConfig
from tasks.training.ppo.preflight import check
from tasks.training.reinforcement.course import Course, rewarded_contract
from tasks.training.reinforcement.items import sources_of
from tasks.training.reinforcement.policy_step import mean_of, policy_step
from tasks.training.reinforcement.rollouts import MEASURE
from tasks.training.written import write_model

if TYPE_CHECKING:
    import torch

    from model.batches import Batch
    from model.gpt import GPT
    from model.trainer import Loss


def sources(config: PpoConfig) -> str | None:
    """Return a fingerprint of the user's files."""
    return sources_of(config, "ppo")


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
def ppo(
    config: PpoConfig,
    out: Output,
    base: kinds.Model,
    corpus: kinds.Corpus | None = None,
    reward: kinds.RewardModel | None = None,
) -> None:
    """Learn from answers whose tokens are compared with what a value head had foretold.

    `reward`, `reward_before` and `gain` are those of `grpo`. `explained_variance` is the share of the returns' variance
    that the values had foretold. The head is part of the checkpoints, not of the model that is written.
    """
    from model.valued import Valued

    course = Course.begin(config, out, base, corpus, reward, group=1)
    valued = course.model = Valued.over(course.model)

    def batches_of(step: int) -> list[Batch]:
        return [with_returns(config, course.drawn(step))] * config.reuse

    def objective(model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        return actor_critic_loss(config, model, batch, dtype)

    history = course.train(objective, batches_of)
    model = valued.writer()
    samples = course.finish(history, model)
    write_model(out, model, course.drawer.tokenizer, samples, course.drawer.template)


def with_returns(config: PpoConfig, batch: Batch) -> Batch:
    """Return the batch with the advantages (whitened over all of its tokens) and returns of its targets."""
    from model.losses import IGNORE
    from model.policy import explained_variance, generalised_advantages, token_rewards, whitened

    facts, counted = batch.facts, batch.targets != IGNORE
    scores = facts[f"{MEASURE}reward"]
    rewards = token_rewards(scores, facts["old"], facts["reference"], counted, config.kl_weight)
    advantages, returns = generalised_advantages(rewards, facts["values"], counted, config.gamma, config.gae_decay)
    added = {
        "advantages": whitened(advantages, counted),
        "returns": returns,
        f"{MEASURE}explained_variance": explained_variance(facts["values"], returns, counted).expand(len(scores)),
    }
    return replace(batch, facts={**facts, **added})


def actor_critic_loss(config: PpoConfig, model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
    """Return the summed loss of a (micro-)batch of answers: that of their tokens and that of their values."""
    from model.policy import clipped_value_losses
    from model.trainer import Loss
    from model.valued import Valued

    assert isinstance(model, Valued)
    step = policy_step(config, model, batch, dtype, config.clip)
    values = model.values(step.states)
    misses = clipped_value_losses(values, batch.facts["values"], batch.facts["returns"], config.value_clip)
    total = ((step.losses + config.value_weight * misses) * step.counted).sum()
    return Loss(total, {**step.measures, "value_loss": mean_of(misses, step.counted)})
