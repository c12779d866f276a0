"""The dpo stage: a model learns from pairs of answers to prefer the better ones, without a reward model between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.figures import histograms
from tasks.stage.gains import paired
from tasks.stage.work import fine_tuning
from tasks.training.answers import AnswerPair, fitting_pairs, pairs_of_step, share, swapped
from tasks.training.dpo.config import DpoConfig
from tasks.training.dpo.objective import PreferenceObjective
from tasks.training.dpo.preflight import check
from tasks.training.reference.stage import read_log_probs
from tasks.training.train import loss_curve, train
from tasks.training.trained import chat_template_of, load_trained
from tasks.training.written import whole_model, write_model

if TYPE_CHECKING:
    from model.batches import Batch, Rollouts
    from model.gpt import GPT
    from model.templates import TemplateName
    from model.tokenizer import Tokenizer

READ_AT_ONCE = 16  # pairs that are measured together


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete, and that it was measured before and after."""
    yield from whole_model(artifact)
    for name in ("likelier_before", "likelier"):
        value = artifact.metrics.get(name)
        if value is None or not 0 <= value <= 1:
            yield f"The metric {name} is {value}, not a share."


@stage(
    makes=kinds.Model,
    headline=("likelier",),
    version=1,
    contract=contract,
    check=check,
    gpu=True,
    work=fine_tuning,
)
def dpo(
    config: DpoConfig,
    out: Output,
    base: kinds.Model,
    preferences: kinds.Preferences,
    reference: kinds.ReferenceLogProbs | None = None,
) -> None:
    """Learn to find the better answers likelier than the worse ones.

    `likelier` is the share of held-out pairs whose better answer the model finds likelier, `likelier_before` that of
    the base; `gain` is their difference, with the standard error of paired items. `margin_gain` is by how many nats
    the better answer gained on the worse one, in the mean, and `reward_accuracy` the share of pairs in which it gained.
    """
    model, tokenizer = load_trained(base)
    template = chat_template_of(base) or "textmill"
    pairs = fitting_pairs(out, preferences, tokenizer, model.config.max_seq_len, template)
    if config.needs_reference and reference is None:
        raise PermanentError(f"The loss {config.loss} holds against the model before, and there is no reference of it.")
    known = read_log_probs(reference, [*pairs["train"], *pairs["val"]]) if config.needs_reference and reference else {}
    objective = PreferenceObjective(config, known)
    before = _log_probs(model, pairs["val"], tokenizer.pad)
    answers = [_answers(config, model, tokenizer, pairs["val"], template)]

    def validate(network: GPT, last: bool) -> dict[str, float]:
        size = config.training.batch_size * config.runtime.validate_batches
        held_out = pairs["val"] if last else pairs["val"][:size]
        return _measured(config, objective, network, held_out, before, tokenizer.pad)

    history = train(
        out,
        model,
        config.training,
        config.runtime,
        _batches(config, objective, model, pairs["train"], tokenizer.pad),
        validate,
        objective=objective,
        adapter=config.adapter,
    )
    after = _log_probs(model, pairs["val"], tokenizer.pad)
    answers.append(_answers(config, model, tokenizer, pairs["val"], template))
    _report(out, before, after, [pair.page for pair in pairs["val"]])
    out.figure("loss", loss_curve(history, f"learning from preferences ({config.loss})"))
    samples = [
        {"instruction": pair.texts["instruction"], "chosen": pair.texts["chosen"], "before": first, "after": second}
        for pair, first, second in zip(pairs["val"], *answers, strict=False)
    ]
    write_model(out, model, tokenizer, samples, template)


def _batches(
    config: DpoConfig, objective: PreferenceObjective, model: GPT, pairs: Sequence[AnswerPair], pad: int
) -> Callable[[int], Batch] | Rollouts:
    """Return what makes the batch of a step; that of kto also depends on the model at that step."""
    from model.batches import Rollouts

    chosen = pairs_of_step(pairs, config.training)
    if config.loss != "kto":
        return lambda step: objective.batch(chosen(step), pad)
    others = dict(zip((pair.row for pair in pairs), swapped(pairs, model.config.max_seq_len), strict=True))

    def with_drift(step: int) -> list[Batch]:
        some = chosen(step)
        known = [objective.reference[pair.row][2] for pair in some]
        return [objective.with_drift(model, objective.batch(some, pad), [others[p.row] for p in some], known, pad)]

    return Rollouts(with_drift)


Sums = list[tuple[float, float]]
"""Log-probabilities of the better and the worse answer of each pair."""


def _log_probs(model: GPT, pairs: Sequence[AnswerPair], pad: int) -> Sums:
    from model.batches import answer_batch
    from model.log_probs import answer_log_probs

    found: Sums = []
    for start in range(0, len(pairs), READ_AT_ONCE):
        some = [one for pair in pairs[start : start + READ_AT_ONCE] for one in (pair.chosen, pair.rejected)]
        values = answer_log_probs(model, answer_batch(some, pad).to(model.device)).tolist()
        found += zip(values[0::2], values[1::2], strict=True)
    return found


def _measured(
    config: DpoConfig, objective: PreferenceObjective, model: GPT, pairs: Sequence[AnswerPair], before: Sums, pad: int
) -> dict[str, float]:
    """Return loss and shares on held-out pairs; raises ValueError if the better answers became far too unlikely."""
    import torch

    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(pairs), READ_AT_ONCE):
            batch = objective.batch(pairs[start : start + READ_AT_ONCE], pad).to(model.device)
            total += float(objective(model, batch, torch.float32).total)
    now = _log_probs(model, pairs, pad)
    tokens = sum(pair.lengths[0] for pair in pairs)
    drop = sum(old[0] - new[0] for old, new in zip(before, now, strict=False)) / tokens
    if config.max_drop is not None and drop > config.max_drop:
        raise ValueError(
            f"The better answers became unlikelier by {drop:.2f} nats per token on held-out pairs, more than "
            f"dpo.max_drop ({config.max_drop:g}): the model forgets how to write. Lower dpo.training.learning_rate or "
            "steps, raise dpo.beta, or take a loss that also learns the answers (orpo, cpo)."
        )
    likelier = sum(better > worse for better, worse in now) / len(now)
    return {"loss": total / len(pairs), "likelier": likelier, "drop": drop}


def _report(out: Output, before: Sums, after: Sums, pages: Sequence[str]) -> None:
    first, second = ([better > worse for better, worse in sums] for sums in (before, after))
    likelier, stderr = share(second)
    moved = [(new[0] - new[1]) - (old[0] - old[1]) for old, new in zip(before, after, strict=True)]
    out.metric(
        likelier=likelier,
        likelier_stderr=stderr,
        likelier_before=share(first)[0],
        margin_gain=sum(moved) / len(moved),
        reward_accuracy=share([one > 0 for one in moved])[0],
    )
    out.gain(paired("better answer found likelier", "before", first, second, groups=pages))
    margins = {
        name: [better - worse for better, worse in sums] for name, sums in (("before", before), ("after", after))
    }
    out.figure("margins", histograms(margins, "log-probability of the better answer over the worse", "nats", "pairs"))


def _answers(
    config: DpoConfig, model: GPT, tokenizer: Tokenizer, pairs: Sequence[AnswerPair], template: TemplateName
) -> list[str]:
    """Return what the model answers to the first held-out prompts, decoded greedily."""
    from model.chat import prompt_ids, stop_ids
    from model.generate import generate_batch

    def prompt(texts: Any) -> list[int]:
        return prompt_ids(tokenizer, texts["instruction"], texts["input"], texts["system"], texts["history"], template)

    prompts = [prompt(pair.texts) for pair in pairs[: config.samples]]
    made = generate_batch(model, prompts, config.sample_tokens, stop=stop_ids(tokenizer, template))
    return [tokenizer.decode(one.ids) for one in made]
