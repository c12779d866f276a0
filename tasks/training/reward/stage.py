"""The reward stage: from pairs of answers a model learns to score one answer (Bradley-Terry)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.stage import Artifact, Output, kinds, stage
from tasks.stage.figures import histograms
from tasks.stage.gains import paired
from tasks.stage.work import fine_tuning
from tasks.training.answers import AnswerPair, fitting_pairs, pair_batch, pairs_of_step, share
from tasks.training.reward.config import RewardConfig
from tasks.training.reward.length import length_report, length_rule
from tasks.training.reward.preflight import check
from tasks.training.train import loss_curve, train
from tasks.training.trained import chat_template_of, load_trained
from tasks.training.written import whole_model, write_model

if TYPE_CHECKING:
    import torch

    from model.batches import Batch
    from model.gpt import GPT
    from model.headed import Headed
    from model.trainer import Loss

READ_AT_ONCE = 32  # pairs that are scored together


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete, and that its accuracy is one."""
    yield from whole_model(artifact)
    accuracy = artifact.metrics.get("accuracy")
    if accuracy is None or not 0 <= accuracy <= 1:
        yield f"The metric accuracy is {accuracy}, not a share."


@stage(
    makes=kinds.RewardModel,
    headline=("accuracy",),
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=fine_tuning,
)
def reward(config: RewardConfig, out: Output, base: kinds.Model, preferences: kinds.Preferences) -> None:
    """Learn to score answers so that the better one of a pair scores higher, and say whether it only measures length.

    `accuracy` is the share of held-out pairs whose better answer scores higher, with its standard error;
    `longer_accuracy` the same for the rule that the longer answer is better.
    """
    from model.headed import Headed

    model, tokenizer = load_trained(base)
    template = chat_template_of(base) or "textmill"
    # the state of the end token is read too, so that an answer has one token less than when it is only written
    pairs = fitting_pairs(out, preferences, tokenizer, model.config.max_seq_len - 1, template)
    headed = Headed.over(model, 1, config.pooling, config.training.seed)
    headed.train_only(config.trained)
    chosen = pairs_of_step(pairs["train"], config.training)

    def batch_of(step: int) -> Batch:
        some = chosen(step)
        margins = [pair.texts["margin"] or 0.0 for pair in some for _ in range(2)]
        return pair_batch(some, tokenizer.pad, {"margin": margins} if config.margins else None, read_end=True)

    def objective(network: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        from model.headed import Headed
        from model.preference import reward_losses
        from model.trainer import Loss

        assert isinstance(network, Headed)
        scores = network.scores(batch)[:, 0]
        better, worse = scores[0::2], scores[1::2]
        margin = batch.facts["margin"][0::2] if config.margins else 0.0
        right, n = float((better > worse).sum()), len(better)
        measures = {"accuracy": (right, n), "margin": (float((better - worse).detach().sum()), n)}
        return Loss(reward_losses(better, worse, margin, config.centering).sum(), measures)

    def validate(network: GPT, last: bool) -> dict[str, float]:
        import torch

        from model.preference import reward_losses

        assert isinstance(network, Headed)
        held_out = (
            pairs["val"] if last else pairs["val"][: config.training.batch_size * config.runtime.validate_batches]
        )
        scores = score_pairs(network, held_out, tokenizer.pad)
        better, worse = torch.tensor(scores).T
        loss = float(reward_losses(better, worse, 0.0, config.centering).mean())
        return {"loss": loss, "accuracy": float((better > worse).float().mean())}

    history = train(
        out, headed, config.training, config.runtime, batch_of, validate, objective=objective, adapter=config.adapter
    )
    scores = score_pairs(headed, pairs["val"], tokenizer.pad)
    right, lengths = [better > worse for better, worse in scores], [pair.lengths for pair in pairs["val"]]
    accuracy, stderr = share(right)
    said, numbers = length_report(lengths, scores)
    out.metric(accuracy=accuracy, accuracy_stderr=stderr, **numbers)
    pages = [pair.page for pair in pairs["val"]]
    out.gain(paired("better answer scored higher", *length_rule(lengths), right, groups=pages))
    if said:
        out.warning(said)
    out.figure("loss", loss_curve(history, "learning to score answers"))
    by_side = {name: [pair[side] for pair in scores] for side, name in enumerate(("better", "worse"))}
    out.figure("rewards", histograms(by_side, "rewards of held-out answers", "reward", "answers"))
    samples = [
        {
            **{name: pair.texts[name] for name in ("instruction", "chosen", "rejected")},
            "chosen_reward": better,
            "rejected_reward": worse,
        }
        for pair, (better, worse) in zip(pairs["val"][: config.samples], scores, strict=False)
    ]
    write_model(out, headed, tokenizer, samples, template)


def score_pairs(model: Headed, pairs: Sequence[AnswerPair], pad: int) -> list[tuple[float, float]]:
    """Return the rewards of the better and the worse answer of each pair."""
    import torch

    found: list[tuple[float, float]] = []
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(pairs), READ_AT_ONCE):
            batch = pair_batch(pairs[start : start + READ_AT_ONCE], pad, read_end=True).to(model.device)
            values = model.scores(batch)[:, 0].tolist()
            found += zip(values[0::2], values[1::2], strict=True)
    model.train(was_training)
    return found
