"""Figures are drawn for ordinary and for empty data, and without pyplot's global state."""

from __future__ import annotations

import io
import sys

import pytest

from data_lake.ledger import Amount, Ledger, Tally
from tasks.figures import curve, funnel, histogram


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


def test_pyplot_is_not_used():
    import subprocess

    code = "import sys, tasks.figures as f; f.histogram([1.0], 'x', 'y'); sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
