"""Small matplotlib figures in one style, without pyplot: no global state, no display, safe in threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from data_lake.reading.ledger import Amount, Ledger

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHAPES_NO_RESULT = "draws what was made"

_CAME, _KEPT, _REMOVED, _REWRITTEN = "#777777", "#2a7f62", "#c8553d", "#d9a441"
MAX_REASONS = 10  # of a stage in a funnel; the smaller ones share a step


def _figure(title: str, height: float = 4.0) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def funnel(ledgers: Mapping[str, Ledger], title: str = "What came in, what went out") -> Figure:
    """Return a funnel of stages from top to bottom, in documents and, next to it, in bytes.

    Each removal is a step that begins where the one above it ended, so that what remains continues to the next; a stage
    that starts with exactly what the previous one kept has no bar for its input.
    """
    steps: list[_Step] = []
    before = None
    for stage, ledger in ledgers.items():
        steps += _steps(stage, ledger, begins=before is None or before.documents != ledger.incoming.documents)
        before = ledger.kept
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.3 + 0.27 * len(steps)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, unit, scale in zip(panels, ("documents", "bytes"), (1, 10**6), strict=True):
        sizes = [getattr(step.amount, unit) / scale for step in steps]
        starts = [getattr(step.start, unit) / scale for step in steps]
        drawn = axes.barh(range(len(steps)), sizes, left=starts, color=[step.colour for step in steps])
        texts = [step.signed(size) for step, size in zip(steps, sizes, strict=True)]
        axes.bar_label(drawn, labels=texts, padding=3, fontsize=8)
        axes.set_xlabel("documents" if scale == 1 else "MB")
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.14)
    panels[0].set_yticks(range(len(steps)), [step.label for step in steps], fontsize=9)
    panels[0].invert_yaxis()
    return figure


class _Step(NamedTuple):
    """A bar of a funnel: it starts at `start` and is `amount` long."""

    label: str
    start: Amount
    amount: Amount
    colour: str

    def signed(self, size: float) -> str:
        """The bar's number; removals have a minus sign."""
        size = -size if self.colour in (_REMOVED, _REWRITTEN) else size
        text = f"{size:,.1f}" if abs(size) >= 0.1 and size % 1 else f"{size:,.2g}" if size % 1 else f"{size:,.0f}"
        return text.replace("-", "−") if size else ""


def _steps(stage: str, ledger: Ledger, *, begins: bool) -> Iterator[_Step]:
    if begins:
        yield _Step(f"came into {stage}", Amount(), ledger.incoming, _CAME)
    reasons = [(reason, amount) for reason, amount in ledger.by_reason() if amount.documents or amount.bytes]
    if len(reasons) > MAX_REASONS:
        rest = sum((amount for _, amount in reasons[MAX_REASONS - 1 :]), Amount())
        reasons = [*reasons[: MAX_REASONS - 1], (f"{len(reasons) - MAX_REASONS + 1} other reasons", rest)]
    left = ledger.incoming
    for reason, amount in reasons:
        left -= amount
        yield _Step(reason.replace("_", " "), left, amount, _REMOVED)
    if ledger.rewritten.bytes:
        left -= ledger.rewritten
        yield _Step("rewritten (markup, repairs)", left, ledger.rewritten, _REWRITTEN)
    tokens = f" ({ledger.kept.tokens:,} tokens)" if ledger.kept.tokens else ""
    yield _Step(f"kept by {stage}{tokens}", Amount(), ledger.kept, _KEPT)


def histograms(series: Mapping[str, Sequence[float]], title: str, xlabel: str, ylabel: str) -> Figure:
    """Return the distributions of several series over each other, in bins of their own range."""
    figure, axes = _figure(title)
    for name, values in series.items():
        axes.hist(list(values), bins=30, alpha=0.6, label=name)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False)
    return figure


def bars(numbers: Mapping[str, int], title: str, xlabel: str) -> Figure:
    """Return horizontal bars, one per name, in the given order."""
    figure, axes = _figure(title, height=1.0 + 0.3 * len(numbers))
    drawn = axes.barh(range(len(numbers)), list(numbers.values()), color=_KEPT)
    axes.bar_label(drawn, labels=[f"{number:,}" for number in numbers.values()], padding=3)
    axes.set_yticks(range(len(numbers)), list(numbers))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(xlabel)
    return figure


def histogram(values: Sequence[float] | np.ndarray, title: str, xlabel: str, *, log: bool = True) -> Figure:
    """Return a histogram; `log` bins the values by their logarithm (positive values only), as suits lengths."""
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


def grid(numbers: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Return a square of counts as shades and numbers, with the same names for rows and columns."""
    figure, axes = _figure(title, height=max(3.0, 1.5 + 0.45 * len(names)))
    axes.imshow(numbers, cmap="Greens", aspect="auto")
    places = range(len(names))
    axes.set_xticks(places, list(names), rotation=45 if len(names) > 4 else 0)
    axes.set_yticks(places, list(names))
    for row in places if len(names) <= 30 else ():
        for column in places:
            dark = numbers[row, column] > numbers.max() / 2
            axes.text(column, row, f"{numbers[row, column]:,}", ha="center", va="center", color="w" if dark else "k")
    return figure
