"""The learning rate as a function of the step: warm-up, then warm-up-stable-decay (WSD), cosine or constant."""

from __future__ import annotations

import math

from model.config import Training


def learning_rate(step: int, training: Training) -> float:
    """Return the learning rate of step `step` (0 … steps - 1): a pure function, so a resumed run needs no state for it.

    The first step of a warm-up is above 0 and the first step after it is at the peak. wsd: holds the peak, then falls
    linearly (Hu et al. 2024, MiniCPM; linear to 0: Bergsma et al. 2025). cosine: half a cosine from the peak down.
    Both reach `final_learning_rate` times the peak at the last step; if it is 0 they would reach it one step after the
    last, so that no step is wasted at rate 0.
    """
    if not 0 <= step < training.steps:
        raise ValueError(f"Step {step} is outside the run of {training.steps} steps (0 … {training.steps - 1}).")
    peak, floor = training.learning_rate, training.final_learning_rate * training.learning_rate
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
