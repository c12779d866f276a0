"""Learning rate and momentum as functions of the step: warm-up, then warm-up-stable-decay (WSD), cosine or constant."""

from __future__ import annotations

import math

from model.config import Training


def learning_rate(step: int, training: Training, peak: float | None = None) -> float:
    """Return the learning rate of step `step` (0 … steps - 1): a pure function, so a resumed run needs no state for it.

    peak: the peak of weights that have a rate of their own; None = `training.learning_rate`.

    The first step of a warm-up is above 0 and the first step after it is at the peak. wsd: holds the peak, then falls
    linearly (Hu et al. 2024, MiniCPM; linear to 0: Bergsma et al. 2025). cosine: half a cosine from the peak down.
    Both reach `final_learning_rate` times the peak at the last step; if it is 0 they would reach it one step after the
    last, so that no step is wasted at rate 0.
    """
    if not 0 <= step < training.steps:
        raise ValueError(f"Step {step} is outside the run of {training.steps} steps (0 … {training.steps - 1}).")
    peak = training.learning_rate if peak is None else peak
    floor = training.final_learning_rate * peak
    warm = round(training.warmup * training.steps)
    if step < warm:
        return peak * (step + 1) / (warm + 1)
    if training.schedule == "constant":
        return peak
    begin = warm if training.schedule == "cosine" else training.steps - round(training.decay * training.steps)
    if step < begin:
        return peak
    falling = training.steps - begin - (floor > 0)  # steps until the floor is reached
    done = min(1.0, (step - begin) / falling) if falling else 1.0
    share = 0.5 * (1 + math.cos(math.pi * done)) if training.schedule == "cosine" else 1 - done
    return floor + (peak - floor) * share


def momentum(step: int, training: Training) -> float:
    """Return Muon's momentum at step `step`: it rises linearly from `momentum_start` during `momentum_warmup` steps.

    At first the gradient turns quickly, and a long average would lag behind it (Jordan et al. 2024, modded-nanogpt).
    """
    done = min(1.0, step / training.momentum_warmup) if training.momentum_warmup else 1.0
    return training.momentum_start + (training.momentum - training.momentum_start) * done
