"""model/schedule.py: warm-up above zero, a plateau at the peak, an end at the final rate; momentum that rises."""

from __future__ import annotations

import pytest

from model.config import Training
from model.schedule import learning_rate, momentum


def rates(**fields: object) -> list[float]:
    training = Training(learning_rate=1.0, **fields)
    return [learning_rate(step, training) for step in range(training.steps)]


def test_wsd_rises_holds_and_falls_linearly() -> None:
    got = rates(steps=20, schedule="wsd", warmup=0.2, decay=0.5)
    assert got == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1.0] * 7 + [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_the_final_rate_is_a_share_of_the_peak() -> None:
    got = rates(steps=10, schedule="wsd", warmup=0.0, decay=1.0, final_learning_rate=0.5)
    assert got[0] == 1.0
    assert got[-1] == 0.5


@pytest.mark.parametrize("steps", [2, 5, 8, 40])
@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_the_last_step_has_the_final_rate_however_short_the_run(schedule: str, steps: int) -> None:
    got = rates(steps=steps, schedule=schedule, final_learning_rate=0.1)
    assert got[-1] == pytest.approx(0.1)
    assert max(got[:-1]) > 0.1
    falling = got[got.index(max(got)) :]
    assert falling == sorted(falling, reverse=True)


def test_cosine_is_half_way_down_in_the_middle() -> None:
    got = rates(steps=100, schedule="cosine", warmup=0.0)
    assert got[0] == 1.0
    assert got[50] == pytest.approx(0.5)
    assert 0 < got[-1] < 0.001
    assert got == sorted(got, reverse=True)


def test_constant_stays() -> None:
    assert rates(steps=5, schedule="constant", warmup=0.0) == [1.0] * 5


@pytest.mark.parametrize("schedule", ["wsd", "cosine", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_no_step_is_at_rate_zero(schedule: str, steps: int) -> None:
    assert all(rate > 0 for rate in rates(steps=steps, schedule=schedule))


def test_a_step_outside_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match="Step 5 is outside the run of 5 steps"):
        learning_rate(5, Training(steps=5))


@pytest.mark.parametrize("schedule", ["wsd", "cosine", "constant"])
def test_the_schedule_multiplies_every_peak(schedule: str) -> None:
    training = Training(steps=40, learning_rate=0.5, schedule=schedule, final_learning_rate=0.1)
    for step in range(40):
        assert learning_rate(step, training, 3.0) == pytest.approx(6.0 * learning_rate(step, training))


def test_momentum_rises_linearly_and_stays() -> None:
    training = Training(optimizer="muon", momentum=0.9, momentum_start=0.5, momentum_warmup=4)
    assert [momentum(step, training) for step in range(6)] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 0.9])
    assert momentum(0, Training(optimizer="muon", momentum_warmup=0)) == 0.95
