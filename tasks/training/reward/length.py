"""Whether a reward measures length: accuracy where the better answer is longer and where it is shorter."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.training.answers import share

Lengths = Sequence[tuple[int, int]]
Rewards = Sequence[tuple[float, float]]


def length_rule(lengths: Lengths) -> tuple[str, list[float]]:
    """Return the better one of the rules "the longer answer is better" and "the shorter one": its name, and whether it
    is right on each pair, with one half for a tie.

    lengths: of the better and the worse answer of each pair.
    """
    longer = [0.5 if better == worse else float(better > worse) for better, worse in lengths]
    if 2 * sum(longer) >= len(longer):
        return "longer is better", longer
    return "shorter is better", [1 - one for one in longer]


def length_report(lengths: Lengths, rewards: Rewards) -> tuple[str, dict[str, float | None]]:
    """Return a sentence if the reward measures length (else an empty one), and the numbers behind it.

    lengths, rewards: of the better and the worse answer of each pair. The control `longer_accuracy` calls the longer
    answer better; a tie counts half.
    """
    right = [better > worse for better, worse in rewards]
    longer = [a > b for a, b in lengths]
    shorter = [a < b for a, b in lengths]
    among_longer, _ = share([one for one, is_so in zip(right, longer, strict=True) if is_so])
    among_shorter, error = share([one for one, is_so in zip(right, shorter, strict=True) if is_so])
    control = (sum(longer) + 0.5 * (len(lengths) - sum(longer) - sum(shorter))) / len(lengths)
    picks_longer, _ = share([
        (reward[0] > reward[1]) == (length[0] > length[1])
        for reward, length in zip(rewards, lengths, strict=True)
        if length[0] != length[1]
    ])  # fmt: skip
    numbers = {
        "longer_accuracy": control,
        "accuracy_chosen_longer": among_longer,
        "accuracy_chosen_shorter": among_shorter,
        "picks_longer": picks_longer,
    }
    if among_shorter is not None and among_shorter + 2 * (error or 0.0) < 0.5:
        return (
            f"The reward measures length: where the better answer is the shorter one, it is right on only "
            f"{among_shorter:.3f} of the pairs.",
            numbers,
        )
    return "", numbers
