"""The objective of the dpo stage: a loss over pairs, from the log-probabilities of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.training.answers import AnswerPair, pair_batch

if TYPE_CHECKING:
    import torch

    from model.batches import Batch
    from model.chat import Example
    from model.gpt import GPT
    from model.trainer import Loss
    from tasks.training.dpo.config import DpoConfig

LogProbs = dict[int, tuple[float, float, float]]
"""Row of a pair -> the reference's log-probabilities of its better answer, its worse one, and another pair's."""


@dataclass(frozen=True)
class PreferenceObjective:
    """The summed loss of pairs; `reference` is empty for losses that need none."""

    config: DpoConfig
    reference: LogProbs

    def batch(self, pairs: Sequence[AnswerPair], pad: int) -> Batch:
        """Return the pairs of a whole step with what the loss must know of all of them."""
        zero = (0.0, 0.0, 0.0)
        known = [value for pair in pairs for value in self.reference.get(pair.row, zero)[:2]]
        tokens = float(sum(pair.lengths[0] for pair in pairs))  # a mean over tokens is one over all of the step's
        facts = {
            "reference": known,
            "step_tokens": [tokens] * len(known),
            "step_pairs": [float(len(pairs))] * len(known),
        }
        return pair_batch(pairs, pad, facts)

    def __call__(self, model: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        """Return the summed loss of a (micro-)batch of pairs."""
        from model.log_probs import token_log_probs
        from model.losses import IGNORE
        from model.preference import ALSO_LIKELIHOOD, Answers, preference_losses
        from model.trainer import Loss

        config = self.config
        policy = token_log_probs(model, batch, dtype).sum(dim=1)
        tokens = (batch.targets != IGNORE).sum(dim=1)
        known = batch.facts["reference"]
        better, worse = (Answers(policy[side::2], known[side::2], tokens[side::2]) for side in (0, 1))
        drift = batch.facts["drift"][0::2] if "drift" in batch.facts else 0.0
        losses = preference_losses(
            config.loss, better, worse, beta=config.beta, margin=config.margin,
            label_smoothing=config.label_smoothing, drift=drift,
        )  # fmt: skip
        total = losses.sum()
        if config.loss in ALSO_LIKELIHOOD:
            total = total - (better.policy * batch.facts["step_pairs"][0::2] / batch.facts["step_tokens"][0::2]).sum()
        n = len(losses)
        gain = (better.ratio - worse.ratio).detach()
        measures = {
            "likelier": (float((better.policy > worse.policy).sum()), n),
            "reward_margin": (float(config.beta * gain.sum()), n),
            "reward_chosen": (float(config.beta * better.ratio.detach().sum()), n),
            "reward_rejected": (float(config.beta * worse.ratio.detach().sum()), n),
        }
        return Loss(total, measures)

    def with_drift(
        self, model: GPT, batch: Batch, others: Sequence[Example], known: Sequence[float], pad: int
    ) -> Batch:
        """Return the step's batch with kto's estimate of how far the model has moved from its reference.

        others: another pair's better answer to each prompt of the step; known: the reference's log-probabilities.
        """
        import torch

        from model.batches import answer_batch
        from model.log_probs import answer_log_probs

        values = answer_log_probs(model, answer_batch(others, pad).to(model.device)).cpu()
        drift = (values - torch.tensor(known)).mean().clamp_min(0.0)
        return replace(batch, facts={**batch.facts, "drift": drift.expand(len(batch.inputs)).clone()})
