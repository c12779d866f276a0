"""Figures are drawn for ordinary and for empty data, and without pyplot's global state."""

from __future__ import annotations

import io
import sys

import pytest

from data_lake.reading.ledger import Amount, Ledger, Tally
from tasks.stage.figures import bars, curve, funnel, histogram


def drawn(figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def tally() -> Ledger:
    account = Tally()
    account.keep(10)
    account.remove("too_short", 1)
    return account.ledger()


@pytest.mark.parametrize(
    "make",
    [
        lambda: funnel({"crawl": tally(), "clean": Ledger(Amount(), Amount())}),
        lambda: funnel({}),
        lambda: bars({"en": 3, "zh": 1}, "Languages", "documents"),
        lambda: bars({}, "Languages", "documents"),
        lambda: histogram([1, 10, 100, 1000], "Length", "bytes"),
        lambda: histogram([], "Length", "bytes"),
        lambda: histogram([0.0, 0.0], "Length", "bytes"),
        lambda: histogram([5.0], "Score", "score", log=False),
        lambda: curve(
            {"train": ([1, 2], [3.0, 2.0]), "val": ([2], [2.5])}, "Loss", "step", "loss", levels={"chance": 8}
        ),
        lambda: curve({}, "Loss", "step", "loss"),
    ],
)
def test_figures_can_be_saved(make):
    assert drawn(make()).startswith(b"\x89PNG")


def steps_of(figure):
    """Label -> (start, end) of each step in documents, and the same in MB."""
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    return [
        {label: (bar.get_x(), bar.get_x() + bar.get_width()) for label, bar in zip(labels, axes.patches, strict=True)}
        for axes in figure.axes
    ]


def test_each_step_of_a_funnel_begins_where_the_one_above_ended():
    crawl = Ledger(Amount(100, 10**6), Amount(90, 9 * 10**5), {"robots": Amount(10, 10**5)})
    removed = {"too_short": Amount(20, 10**5), "empty": Amount(30, 0), "nothing": Amount()}
    clean = Ledger(Amount(90, 9 * 10**5), Amount(40, 2 * 10**5), removed, Amount(0, 6 * 10**5))
    documents, megabytes = steps_of(funnel({"crawl": crawl, "clean": clean}))
    assert documents == {
        "came into crawl": (0, 100),
        "robots": (90, 100),
        "kept by crawl": (0, 90),
        "empty": (60, 90),
        "too short": (40, 60),
        "rewritten (markup, repairs)": (40, 40),
        "kept by clean": (0, 40),
    }
    assert megabytes["rewritten (markup, repairs)"] == pytest.approx((0.2, 0.8))


def test_many_reasons_share_a_step_of_a_funnel():
    removed = {f"reason {number:02}": Amount(1, 10) for number in range(30)}
    documents, _ = steps_of(funnel({"clean": Ledger(Amount(35, 305), Amount(5, 5), removed)}))
    assert documents["21 other reasons"] == (5, 26)
    assert len(documents) == 12


def test_pyplot_is_not_used():
    import subprocess

    code = (
        "import sys, tasks.stage.figures as f; f.histogram([1.0], 'x', 'y'); sys.exit('matplotlib.pyplot' in "
        "sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
