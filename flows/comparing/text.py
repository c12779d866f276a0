"""A comparison as lines of text for a person, 80 columns wide: rows with verdicts, changed fields, data, cost."""

from __future__ import annotations

import datetime
import string
import textwrap
from collections.abc import Iterator, Sequence

from data_lake.reading.audit import Row as LedgerRow
from flows.comparing.changes import Cost, Entry
from flows.comparing.comparison import Comparison, Scores
from flows.comparing.subjects import MODEL, Subject
from tasks.evaluation.comparing.rows import BITS, Row
from tasks.evaluation.comparing.statistics import LEVEL, POWER
from tasks.tracking.quantities import duration, metric_text, size

WIDTH = 80
NAME_WIDTH = 30
FOOTNOTE = (
    f"Intervals ({LEVEL:.0%}) are of one row alone; p is corrected for the number of rows (Holm) and decides the "
    f"verdict. Where a row cannot tell, so many units would show this difference in {POWER:.0%} of trials."
)


def letters(subjects: Sequence[Subject]) -> dict[str, str]:
    """Return a short name for each subject: A, B, ..., Z, then by number."""
    names = [*string.ascii_uppercase, *(str(number) for number in range(len(subjects)))]
    return {subject.name: names[place] for place, subject in enumerate(subjects)}


def heads(comparison: Comparison) -> Iterator[str]:
    """Yield a line for each subject: its letter, its name, how its run went."""
    for name, letter in letters(comparison.subjects).items():
        subject = next(one for one in comparison.subjects if one.name == name)
        yield f"{letter}  {name}{_run(subject)}"


def score_lines(scores: Scores, comparison: Comparison) -> Iterator[tuple[str, str | None]]:
    """Yield lines of one model's scores, each with the verdict that gives it its colour, if any."""
    short = letters(comparison.subjects)
    before, after = (_letters(side, short) for side in (scores.before, scores.after))
    title = "scores" if scores.label == MODEL else scores.label
    yield f"{title:<{NAME_WIDTH}} {before:>8} {after:>8} {f'{after} − {before}':>10}  {after} is", None
    if min(scores.seeds) > 1:
        means = " and ".join(
            f"{side} is the mean of {_seeds(n)}" for side, n in zip((before, after), scores.seeds, strict=True)
        )
        yield from ((f"    {line}", None) for line in textwrap.wrap(f"{means}, of all that this lake has.", WIDTH - 4))
    for row in scores.rows:
        numbers = f"{_number(row, row.before):>8} {_number(row, row.after):>8} {_signed(row, row.difference):>10}"
        yield f"{_label(row):<{NAME_WIDTH}} {numbers}  {row.verdict}", row.verdict
        for line in textwrap.wrap(detail(row), WIDTH - 4):
            yield f"    {line}", None
    for note in scores.notes:
        yield from ((line, None) for line in textwrap.wrap(note, WIDTH))


def detail(row: Row) -> str:
    """Return how sure a row is: interval, units, test, p, what was left out, and what it would take to tell."""
    said = []
    if row.low is not None and row.high is not None:
        said.append(f"{_signed(row, row.low)} to {_signed(row, row.high)}")
    said.append(row.test if row.unit == "seeds" else f"{row.n:,} {row.unit} ({row.test})")
    said.append(f"p {_p(row.p_adjusted)}")
    left = row.only_before + row.only_after
    if left:
        said.append(f"{left:,} left out that only one has ({row.only_before:,} + {row.only_after:,})")
    if row.contaminated:
        said.append(f"{row.contaminated:,} contaminated")
    if row.verdict == "not distinguishable":
        if row.needed is None:
            said.append("no difference seen")
        else:
            said.append(f"{row.needed:,} {row.unit}{' each' if row.unit == 'seeds' else ''} would tell")
    return "; ".join(said)


def data_cell(row: LedgerRow | None) -> str:
    """Return the documents, bytes and tokens of a ledger's entry."""
    if row is None:
        return "–"
    tokens = "" if row.tokens is None else f", {row.tokens:,} tok."
    return f"{row.documents:,}, {size(row.bytes) if row.bytes >= 0 else f'−{size(-row.bytes)}'}{tokens}"


def cost_cell(cost: Cost, value: float | None) -> str:
    """Return a cost in its unit."""
    if value is None:
        return "–"
    return (
        duration(value)
        if cost.name == "seconds"
        else size(value)
        if cost.name == "bytes"
        else f"{value:,.0f}"
        if abs(value) >= 1000
        else f"{value:.4g}"
    )


def entry_name(entry: Entry) -> str:
    """Return the stage and the entry of its ledger."""
    return f"{entry.stage} {entry.entry}"


def as_text(comparison: Comparison) -> str:
    """Return subjects, scores and notes as plain text."""
    blocks = ["\n".join(heads(comparison))]
    blocks += ["\n".join(line for line, _ in score_lines(scores, comparison)) for scores in comparison.scores]
    blocks += ["\n".join(textwrap.wrap(FOOTNOTE, WIDTH))] if comparison.rows else []
    return "\n\n".join([*blocks, *("\n".join(textwrap.wrap(note, WIDTH)) for note in comparison.notes)])


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def _label(row: Row) -> str:
    if row.part == "all":
        return row.metric[:NAME_WIDTH]
    return f"  {row.part}"[:NAME_WIDTH]


def _letters(side: str, short: dict[str, str]) -> str:
    """Return the letters of a side, which may be several subjects that differ in their seeds."""
    return "+".join(letter for name, letter in short.items() if name in side)


def _number(row: Row, value: float) -> str:
    return f"{value:.4f}" if row.metric == BITS else f"{value:.3f}" if abs(value) < 100 else metric_text(value)


def _signed(row: Row, value: float) -> str:
    text = _number(row, abs(value))
    return text if not text.strip("0.") else f"{'−' if value < 0 else '+'}{text}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.995 else "1"


def _run(subject: Subject) -> str:
    if subject.record is None:
        return ""
    started = datetime.datetime.fromtimestamp(subject.record.started_at / 1000, datetime.UTC)
    return f": {subject.record.status.lower()}, started {started:%Y-%m-%d %H:%M:%S} UTC"
