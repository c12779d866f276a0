"""The rows of a comparison: one metric of two models on the items that both have, with its test and its verdict."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.evaluation.comparing.items import Shared, Sheet, shared_documents, shared_items
from tasks.evaluation.comparing.scores import Scores
from tasks.evaluation.comparing.statistics import (
    LEVEL,
    Effect,
    holm,
    mcnemar,
    needed,
    over_seeds,
    paired_bootstrap,
)

if TYPE_CHECKING:
    import numpy as np

    from tasks.evaluation.comparing.statistics import Bools, Floats

Verdict = Literal["better", "worse", "different", "not distinguishable"]
ALPHA = 1 - LEVEL
BITS = "bits_per_byte"
LESS_IS_BETTER = re.compile(r"bits_per_|perplexity|loss|toxic|error|nats")
NEITHER_IS_BETTER = re.compile(r"stereotype|likelihood_diff|bias|crows|passages")
MAX_GROUPS = 60
"""A column with more groups (a source per page, say) is not split into rows."""


@dataclass(frozen=True)
class Row:
    """One metric of two models, "before" and "after", on the `n` items, documents or seeds that were compared.

    p is of one row alone, p_adjusted after Holm's correction for all rows; the interval (95 %) is not corrected.
    needed: how many units would show this difference with 80 % power if all rows were tested again; None if there is
    no difference. only_before, only_after: items that one of the two alone has, which are left out. contaminated: how
    many of the items training documents of either model have; they are left out of the part "clean". same_as: the
    metric that this one equals item by item in both models, if any (by letters, acc_norm is acc).
    """

    metric: str
    part: str
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float
    verdict: Verdict
    test: str
    n: int
    unit: str
    needed: int | None
    only_before: int
    only_after: int
    contaminated: int
    tested: Effect
    same_as: str = ""

    @property
    def name(self) -> str:
        """Metric and part, named as in MLflow: hellaswag_acc_norm_clean."""
        return self.metric if self.part == "all" else f"{self.metric}_{self.part}"


def rows_of(before: Sequence[Sheet], after: Sequence[Sheet], *, groups: bool = False) -> list[Row]:
    """Return the rows of two models, not yet judged. Each is given as its evaluations: of one or of several seeds.

    With `groups` there are also rows for each source and language of the held-out text, and for each subject.
    """
    found = [*_text_rows(before, after, groups)]
    for name, scores in before[0].benchmarks.items():
        if name in after[0].benchmarks:
            found += _benchmark_rows(name, scores, before, after, groups)
    return found


def judged(rows: Sequence[Row], alpha: float = ALPHA) -> list[Row]:
    """Return the rows with their verdicts, corrected for their number: rows that are read together go in together."""
    adjusted = holm([row.p for row in rows])
    return [
        dataclasses.replace(
            row,
            p_adjusted=p,
            verdict=_verdict(row, p, alpha),
            needed=needed(row.tested, alpha / len(rows)),
        )
        for row, p in zip(rows, adjusted, strict=True)
    ]


def without_pair(before: Sheet, after: Sheet) -> list[str]:
    """Return a sentence for each benchmark, and the held-out text, that only one of two evaluations has."""
    said = []
    for one, other in ((before, after), (after, before)):
        missing = [name for name in one.benchmarks if name not in other.benchmarks]
        missing += ["the held-out text"] if one.documents is not None and other.documents is None else []
        if missing:
            said.append(f"{other.name} has no scores of {', '.join(missing)}, which {one.name} has.")
    return said


def _verdict(row: Row, p: float, alpha: float) -> Verdict:
    if p >= alpha:
        return "not distinguishable"
    if NEITHER_IS_BETTER.search(row.metric):
        return "different"
    return "better" if (row.difference < 0) == bool(LESS_IS_BETTER.search(row.metric)) else "worse"


def _text_rows(before: Sequence[Sheet], after: Sequence[Sheet], groups: bool) -> Iterator[Row]:
    """Yield bits per byte of the documents that both evaluations have."""
    import numpy as np

    old, new = before[0].documents, after[0].documents
    if old is None or new is None:
        return
    shared = shared_documents(old, new)
    if not len(shared.before):
        return
    sizes = old.sizes[shared.before]
    keys = [old.keys[place] for place in shared.before.tolist()]
    sides = [[_nats(sheet, keys) for sheet in side] for side in (before, after)]
    everything = np.ones(len(keys), dtype=np.bool_)
    parts: list[tuple[str, Bools]] = [("all", everything)]
    if groups:
        for column, names in old.groups.items():
            parts += _group_parts(column, [names[place] for place in shared.before.tolist()])
    for part, chosen in parts:
        bytes_of = float(sizes[chosen].sum()) * math.log(2)
        values = [[float(nats[chosen].sum()) / bytes_of for nats in side if nats is not None] for side in sides]
        first, second = sides[0][0], sides[1][0]
        assert first is not None
        assert second is not None
        tested = paired_bootstrap((second - first)[chosen] / math.log(2), sizes[chosen])
        yield _row(BITS, part, values, tested, int(chosen.sum()), "documents", shared, 0)


def _nats(sheet: Sheet, keys: Sequence[str]) -> Floats | None:
    """Return the nats of these documents; None if the evaluation lacks one of them."""
    import numpy as np

    if sheet.documents is None:
        return None
    places = {key: place for place, key in enumerate(sheet.documents.keys)}
    if any(key not in places for key in keys):
        return None
    return sheet.documents.nats[np.array([places[key] for key in keys], dtype=np.int64)]


def _benchmark_rows(
    name: str, scores: Scores, before: Sequence[Sheet], after: Sequence[Sheet], groups: bool
) -> Iterator[Row]:
    import numpy as np

    new = after[0].benchmarks[name]
    shared = shared_items(scores, new, same_questions=before[0].questions == after[0].questions)
    if not len(shared.before):
        return
    found = scores.contaminated[shared.before] | new.contaminated[shared.after]
    parts: list[tuple[str, Bools]] = [("all", np.ones(len(found), dtype=np.bool_))]
    if found.any() and not found.all():
        parts.append(("clean", ~found))
    if groups:
        for column, names in scores.groups.items():
            parts += _group_parts(column, [names[place] for place in shared.before.tolist()])
    for metric, same_as in _metrics(scores, new):
        values = [
            [_of_seed(sheet, name, metric, own, places) for sheet in side]
            for side, own, places in ((before, scores, shared.before), (after, new, shared.after))
        ]
        known = ~(np.isnan(values[0][0]) | np.isnan(values[1][0]))
        for part, chosen in parts:
            both = chosen & known
            if both.any():
                tested = _tested(values[0][0][both], values[1][0][both], share=bool({metric, same_as} & scores.shares))
                means = [[float(one[both].mean()) for one in side if one.size] for side in values]
                contaminated = int(found[both].sum())
                row = _row(f"{name}_{metric}", part, means, tested, int(both.sum()), "items", shared, contaminated)
                yield dataclasses.replace(row, same_as=f"{name}_{same_as}" if same_as else "")


def _metrics(before: Scores, after: Scores) -> list[tuple[str, str]]:
    """Return the metrics that both have, each with an earlier one that it equals item by item, or ""."""
    import numpy as np

    def same(one: str, other: str) -> bool:
        return all(np.array_equal(side.metrics[one], side.metrics[other], equal_nan=True) for side in (before, after))

    found: list[tuple[str, str]] = []
    for metric in before.metrics:
        if metric in after.metrics:
            found.append((metric, next((other for other, _ in found if same(metric, other)), "")))
    return found


def _of_seed(sheet: Sheet, name: str, metric: str, own: Scores, places: np.ndarray) -> Floats:
    """Return a metric of the compared items in the evaluation of one seed; empty if it was asked other items."""
    import numpy as np

    scores = sheet.benchmarks.get(name)
    if scores is None or metric not in scores.metrics or scores.names != own.names:
        return np.empty(0)
    return scores.metrics[metric][places]


def _tested(before: Floats, after: Floats, *, share: bool) -> Effect:
    if share:
        right: list[Bools] = [before > 0.5, after > 0.5]
        return mcnemar(right[0], right[1])
    return paired_bootstrap(after - before)


def _row(
    metric: str,
    part: str,
    values: Sequence[Sequence[float]],
    tested: Effect,
    n: int,
    unit: str,
    shared: Shared,
    contaminated: int,
) -> Row:
    """Make a row; where there are several seeds and their spread is known, the test is over seeds, not over items."""
    import statistics

    before, after = (statistics.fmean(side) for side in values)
    seeds = over_seeds(values[0], values[1])
    if seeds is not None:
        tested, n, unit = seeds, min(map(len, values)), "seeds"
    else:
        before, after = values[0][0], values[1][0]
    return Row(
        metric, part, before, after, tested.difference, tested.low, tested.high, tested.p, tested.p,
        "not distinguishable", tested.test, n, unit, None, shared.only_before, shared.only_after, contaminated, tested,
    )  # fmt: skip


def _group_parts(column: str, names: Sequence[str]) -> list[tuple[str, Bools]]:
    """Return a part for each group of a column, if it has several."""
    import numpy as np

    counts: Counter[str] = Counter(names)
    if not 1 < len(counts) <= MAX_GROUPS:
        return []
    every = np.array(names)
    return [(f"{column}={name}", every == name) for name in sorted(counts)]


def chosen(rows: Sequence[Row], metrics: Collection[str]) -> list[Row]:
    """Return the rows of some metrics; a name is that of a metric, or of a metric and its part.

    If none is named, these are all but those that say the same as another one: they would only make the correction for
    many rows stricter.
    """
    if not metrics:
        return [row for row in rows if not row.same_as]
    return [row for row in rows if row.metric in metrics or row.name in metrics]
