"""Small matplotlib figures in one style, without pyplot: no global state, no display, safe in threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from data_lake.ledger import Ledger

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KEPT, _REMOVED = "#2a7f62", "#c8553d"


def _figure(title: str, height: float = 4.0) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def funnel(ledgers: Mapping[str, Ledger], title: str = "Documents") -> Figure:
    """Return bars of what came in, was removed by reason, and was kept, for each stage from the top down."""
    names: list[str] = []
    values: list[int] = []
    colours: list[str] = []
    for stage, ledger in ledgers.items():
        reasons = sorted(ledger.removed.items(), key=lambda item: -item[1].documents)
        entries = [(f"{stage}: in", ledger.incoming.documents, "#777777")]
        entries += [(reason, amount.documents, _REMOVED) for reason, amount in reasons if amount.documents]
        entries.append((f"{stage}: kept", ledger.kept.documents, _KEPT))
        for name, value, colour in entries:
            names.append(name)
            values.append(value)
            colours.append(colour)
    figure, axes = _figure(title, height=1.0 + 0.3 * len(names))
    bars = axes.barh(range(len(names)), values, color=colours)
    axes.bar_label(bars, labels=[f"{value:,}" for value in values], padding=3)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("documents")
    return figure


def histogram(values: Sequence[float], title: str, xlabel: str, *, log: bool = True) -> Figure:
    """Return a histogram; `log` bins the values by their logarithm (positive values only), as lengths want it."""
    import numpy as np

    figure, axes = _figure(title)
    data = np.asarray(values, dtype=float)
    if log:
        data = data[data > 0]
    if data.size:
        low, high = float(data.min()), float(data.max())
        bins = np.geomspace(low, max(high, low * 1.01), 41) if log else np.linspace(low, max(high, low + 1e-9), 41)
        axes.hist(data, bins=list(bins), color=_KEPT)
        axes.axvline(float(np.median(data)), color="black", linewidth=1, label=f"median {np.median(data):,.0f}")
        axes.legend(frameon=False)
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(xlabel)
    axes.set_ylabel("count")
    return figure


def curve(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """Return lines of (x, y) by name; `levels` are horizontal lines to compare with (chance, a baseline)."""
    figure, axes = _figure(title)
    for name, (x, y) in series.items():
        axes.plot(list(x), list(y), label=name, linewidth=1.4)
    for name, level in (levels or {}).items():
        axes.axhline(level, color="grey", linestyle="--", linewidth=1)
        axes.annotate(name, (1.0, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="grey")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if len(series) > 1:
        axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return figure
