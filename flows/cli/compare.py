"""`textmill compare`: runs, variants and models side by side, and which of their differences are more than noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from data_lake.store.home import Home
from flows.cli.arguments import AsJson
from flows.cli.console import UserError, examples, in_sentences, note, output, print_json, styled, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table
    from rich.text import Text

    from flows.comparing.changes import Field
    from flows.comparing.comparison import Comparison

STYLES = {"better": "green", "worse": "red", "different": "yellow", "not distinguishable": "dim"}
FEW = 15
"""Lines of a table that are shown without --all."""


@in_sentences
def compare(
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="what to compare with the first: runs (last, last~1, a name, an id or its first letters), variants "
            "(last@d6), models (pretrain/<key>); one run with variants stands for all of them",
        ),
    ],
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="test only this metric; may be repeated")
    ] = None,
    show_all: Annotated[
        bool,
        typer.Option("--all", help="also each source, language and subject by itself, and whatever else was measured"),
    ] = False,
    log: Annotated[
        bool, typer.Option("--log", help="keep the comparison in MLflow, with a figure: a run of textmill/compare")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put runs, variants or models side by side: recipe, data, cost, and scores with paired tests on the same items."""
    from flows.comparing.comparison import compare as comparing
    from flows.comparing.runs import CompareError

    home = Home.from_env()
    try:
        made = comparing(subjects, home, metrics=metric or (), groups=show_all)
    except CompareError as error:
        raise UserError(str(error)) from error
    if as_json:
        print_json(made.to_json())
    else:
        _print(made, show_all)
    if log:
        from flows.comparing.tracked import log_comparison

        log_comparison(made, home)
        note("The comparison is in MLflow: the newest run of the experiment textmill/compare.")


def _print(made: Comparison, show_all: bool) -> None:
    from flows.comparing import text

    console = output()
    short = list(text.letters(made.subjects).values())
    for head in text.heads(made):
        console.print(head)
    _print_changes(made, short, show_all)
    for scores in made.scores:
        console.print()
        for line, verdict in text.score_lines(scores, made):
            console.print(styled(line, STYLES[verdict]) if verdict else line)
    if made.rows:
        console.print()
        console.print(text.FOOTNOTE, style="dim", width=text.WIDTH)
    if made.metrics and (show_all or not made.rows):
        _print_metrics(made, short, show_all)
    for sentence in made.notes:
        note(sentence)


def _print_changes(made: Comparison, short: Sequence[str], show_all: bool) -> None:
    from flows.comparing import text

    if made.fields:
        _print_table("recipe", short, _field_rows(made.fields), show_all, "fields")
    else:
        note("No field of the recipe differs.")
    if show_all or not (made.fields or made.data or made.rows):
        _print_table("artifacts", short, [(one.node, *map(_or_dash, one.values)) for one in made.artifacts], True, "")
    data = [(text.entry_name(one), *map(text.data_cell, one.values)) for one in made.data]
    _print_table("data", short, data, show_all, "entries of the ledger")
    costs = [
        (
            f"{one.node} {'' if one.name == 'seconds' else one.name}",
            *(text.cost_cell(one, value) for value in one.values),
        )
        for one in made.costs
        if show_all or one.name != "bytes"
    ]
    _print_table("cost", short, costs, show_all, "costs")


def _print_table(title: str, short: Sequence[str], lines: Sequence[tuple[str, ...]], show_all: bool, of: str) -> None:
    if not lines:
        return
    rows = table(title, ("", *short))
    for line in lines if show_all else lines[:FEW]:
        rows.add_row(*line)
    output().print(rows)
    if not show_all and len(lines) > FEW:
        note(f"{len(lines) - FEW} more {of} differ; --all shows them.")


def _field_rows(fields: Sequence[Field]) -> list[tuple[str, ...]]:
    """Return a line per field; what a node has and another subject does not have at all is one line."""
    lines: list[tuple[str, ...]] = []
    told: set[str] = set()
    for field in fields:
        mine = [one for one in fields if one.node == field.node]
        lacking = [all(one.values[place] is None for one in mine) for place in range(len(field.values))]
        if any(lacking) and len(mine) > 3:
            if field.node not in told:
                told.add(field.node)
                lines.append((field.node, *("off" if gone else f"{len(mine)} fields" for gone in lacking)))
            continue
        lines.append((f"{field.node}.{field.name}", *map(_or_dash, field.values)))
    return lines


def _print_metrics(made: Comparison, short: Sequence[str], show_all: bool) -> None:
    """Print what MLflow logged of two runs; the lake may not have their evaluations."""
    shown = [change for change in made.metrics if show_all or change.verdict or change.before != change.after]
    if not shown:
        note("No metric changed; --all shows them.")
        return
    output().print(_metric_table(made, short, shown))


def _metric_table(made: Comparison, short: Sequence[str], shown: Sequence[object]) -> Table:
    from flows.comparing.logged import MetricChange, Z

    numbers = (*short, "difference", "± 1.96 se")
    rows = table("metrics that MLflow has, without pairing", ("metric", *numbers, "verdict"), numbers)
    for change in shown:
        assert isinstance(change, MetricChange)
        verdict: str | Text = styled(change.verdict, STYLES[change.verdict]) if change.verdict else ""
        error = "" if change.stderr is None else _number(Z * change.stderr)
        sign = "+" if (change.difference or 0) > 0 else ""
        rows.add_row(
            change.name,
            _number(change.before),
            _number(change.after),
            sign + _number(change.difference),
            error,
            verdict,
        )
    return rows


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"


def _or_dash(value: str | None) -> str:
    return "–" if value is None else value


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples(
            "textmill compare last~1 last",
            "textmill compare last@d6 last@d12",
            "textmill compare pretrain/3f2a pretrain/9c41 --metric bits_per_byte",
            "textmill compare 3f2a 9c41 --json",
        ),
    )(compare)
