"""tasks/stage/gains.py: the mean of paired differences with its standard error, also of a ratio, and what it says.

Also covers: data_lake/store/gain.py
"""

from __future__ import annotations

import numpy as np
import pytest

from tasks.stage.gains import paired

BEFORE, AFTER = [0, 0, 1, 0, 1, 0, 0, 0], [1, 0, 1, 1, 0, 1, 1, 1]


def test_a_gain_is_the_mean_of_paired_differences() -> None:
    from scipy.stats import sem

    found = paired("right", "before", BEFORE, AFTER)
    apart = np.subtract(AFTER, BEFORE)
    assert (found.reference, found.reached, found.gain, found.items) == (0.25, 0.75, 0.5, 8)
    assert found.stderr == pytest.approx(sem(apart))
    assert not found.clear  # 0.5 ± 0.27
    assert str(found) == (
        f"right, of 8 held-out items: 0.250 (before), 0.750 after this stage: +0.500 ± {sem(apart):.3f}"
    )
    assert paired("right", "before", BEFORE * 9, AFTER * 9).verdict == "gain"
    assert paired("right", "before", AFTER * 9, BEFORE * 9).verdict == "no clear gain"


def test_less_can_be_better_and_long_items_count_more() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, 50, 400)
    before = tokens * 3.0 + rng.normal(0, 5, 400)
    after = tokens * 2.5 + rng.normal(0, 5, 400)
    found = paired("nats", "before", before.tolist(), after.tolist(), sizes=tokens.tolist(), less_is_better=True)
    assert found.gain == pytest.approx(found.reference - found.reached) == pytest.approx(0.5, abs=0.05)
    drawn = rng.integers(0, 400, (2000, 400))  # the bootstrap knows the standard error of a ratio without a formula
    spread = np.std((before - after)[drawn].sum(1) / tokens[drawn].sum(1))
    assert found.stderr == pytest.approx(spread, rel=0.1)


def test_items_of_one_page_are_one_trial() -> None:
    once = paired("right", "before", BEFORE, AFTER)
    copied = paired("right", "before", BEFORE * 9, AFTER * 9, groups=[str(n) for n in range(8)] * 9)
    assert (copied.gain, copied.items) == (once.gain, 72)
    assert copied.stderr == pytest.approx(once.stderr)
    assert paired("right", "before", BEFORE, AFTER, groups=["a"] * 8).stderr is None


def test_one_item_has_no_standard_error_and_is_never_a_clear_gain() -> None:
    found = paired("right", "before", [0], [1])
    assert (found.gain, found.stderr, found.clear, found.difference) == (1.0, None, False, "+1.000")
