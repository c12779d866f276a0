"""flows/comparing/logged.py: metrics of two runs without their items, and what is more than noise there."""

from __future__ import annotations

import pytest

from flows.comparing.logged import MetricChange, logged_changes


def test_a_difference_is_called_one_only_beyond_the_noise() -> None:
    before = {"acc": 0.30, "acc_stderr": 0.03, "loss": 2.0, "gone": 1.0}
    near = {"acc": 0.38, "acc_stderr": 0.04, "loss": 2.0}
    far = {"acc": 0.42, "acc_stderr": 0.04, "loss": 2.5}
    by_name = {change.name: change for change in logged_changes(before, near)}
    assert set(by_name) == {"acc", "loss", "gone"}
    acc = by_name["acc"]
    assert (acc.verdict, acc.stderr) == ("not distinguishable", pytest.approx(0.05))  # 3-4-5
    assert acc.difference == pytest.approx(0.08)
    assert by_name["loss"] == MetricChange("loss", 2.0, 2.0, 0.0, None, None)
    assert by_name["gone"] == MetricChange("gone", 1.0, None, None, None, None)
    assert logged_changes(before, far)[0].verdict == "different"
    earlier = {"acc_base": 0.30, "acc_stderr_base": 0.03}
    (change,) = logged_changes(earlier, earlier)
    assert (change.name, change.verdict) == ("acc_base", "not distinguishable")
