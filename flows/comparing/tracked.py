"""A comparison in MLflow and in Prefect: a run of the experiment textmill/compare with a figure, and artifacts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_lake.store.home import Home
from flows.comparing.comparison import Comparison, Scores
from flows.comparing.text import as_text, detail
from tasks.evaluation.comparing.rows import Row
from tasks.tracking.watch import Tracker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXPERIMENT = "textmill/compare"
ABOUT = """One run for each comparison that was kept: `textmill compare A B --log`, or the deployment `compare`.

Its parameters are what was compared, its metrics the differences, lower and upper ends of their intervals and
p-values, as `model.metric.difference`; the figure shows them. The tags `textmill.compared.<n>` hold the ids of the
pipeline runs. A comparison has a run of its own, as it belongs to no single one of them."""
COLOURS = {"better": "#2a7f62", "worse": "#c8553d", "different": "#d9a441", "not distinguishable": "#777777"}


def log_comparison(made: Comparison, home: Home) -> str | None:
    """Log a comparison as a run of its own; return a sentence if MLflow has not accepted it yet."""
    tracker = Tracker(home)
    names = [subject.name for subject in made.subjects]
    ids = {f"textmill.compared.{place}": subject.record.run_id
           for place, subject in enumerate(made.subjects) if subject.record is not None}  # fmt: skip
    params = {f"subject.{place}": name for place, name in enumerate(names)}
    run = tracker.start_run(EXPERIMENT, " | ".join(names)[:200], ids, params, about=ABOUT)
    run.metrics(
        {
            f"{scores.label}.{row.name}{'' if place == 0 else f'.{place}'}.{name}": value
            for (place, scores) in _numbered(made.scores)
            for row in scores.rows
            for name, value in (("difference", row.difference), ("low", row.low), ("high", row.high),
                                ("p", row.p_adjusted))
            if value is not None
        }
    )  # fmt: skip
    run.file(
        "comparison.json", lambda path: path.write_text(json.dumps(made.to_json(), indent=1, default=str), "utf-8")
    )
    run.file("comparison.txt", lambda path: path.write_text(as_text(made) + "\n", "utf-8"))
    if made.rows:
        run.table("scores", table_of(made))
        run.figure("differences", differences_figure(made))
    run.finish("FINISHED")
    return tracker.close()


def leave_in_prefect(made: Comparison) -> None:
    """Leave a comparison as artifacts of the current flow run: the text, and the rows as a table."""
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    create_markdown_artifact(
        markdown=f"```\n{as_text(made).replace('```', '’’’')}\n```", key="comparison", description="What differs"
    )
    create_table_artifact(
        table=table_of(made), key="comparison-rows", description="One row for each metric: test and verdict"
    )


def table_of(made: Comparison) -> list[dict[str, Any]]:
    """Return all rows as plain data, one for each model, pair and metric."""
    return [
        {
            "model": scores.label,
            "before": scores.before,
            "after": scores.after,
            "metric": row.name,
            "value before": round(row.before, 6),
            "value after": round(row.after, 6),
            "difference": round(row.difference, 6),
            "verdict": row.verdict,
            "p": round(row.p_adjusted, 6),
            "how": detail(row),
        }
        for scores in made.scores
        for row in scores.rows
    ]


def differences_figure(made: Comparison) -> Figure:
    """Return all differences with their intervals, a panel for each unit and pair; colours are verdicts."""
    from matplotlib.figure import Figure

    panels = [(scores, rows) for scores in made.scores for rows in _by_scale(scores.rows)]
    heights = [len(rows) + 1.5 for _, rows in panels]
    figure = Figure(figsize=(9, 0.8 + 0.36 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for (scores, rows), place in zip(panels, axes[:, 0], strict=True):
        _draw(place, scores, rows)
    return figure


def _draw(axes: Axes, scores: Scores, rows: Sequence[Row]) -> None:
    for height, row in enumerate(rows):
        colour = COLOURS[row.verdict]
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [height, height], color=colour, linewidth=2)
        axes.plot([row.difference], [height], "o", color=colour)
        axes.annotate(f" {row.verdict}, p {row.p_adjusted:.2g}", (1, height), xycoords=("axes fraction", "data"),
                      va="center", fontsize=8, color=colour)  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(f"{scores.label}: {scores.after} minus {scores.before}", loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _by_scale(rows: Sequence[Row]) -> list[list[Row]]:
    """Split rows into those of shares, which have one scale, and those of each other metric."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault("share" if "_acc" in row.metric else row.metric, []).append(row)
    return list(groups.values())


def _numbered(scores: Sequence[Scores]) -> list[tuple[int, Scores]]:
    """Number the pairs of each model, so that three subjects' metrics do not share a name."""
    seen: dict[str, int] = {}
    numbered = []
    for one in scores:
        numbered.append((seen.get(one.label, 0), one))
        seen[one.label] = seen.get(one.label, 0) + 1
    return numbered
