"""Samples of the corpus and of what was removed from it: a few rows of a view, drawn by a seed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from data_lake.reading.catalog import Catalog, QueryError, literal

COLUMNS = {
    "removed": ("stage", "reason", "value", "threshold", "detail", "doc_id", "url", "source", "n_bytes", "text"),
    "documents": (
        "stage", "doc_id", "url", "source", "title", "language", "language_score", "quality", "date", "split",
        "n_bytes", "text",
    ),
}  # fmt: skip


def sample(catalog: Catalog, view: str, n: int, seed: int, wanted: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Return `n` rows of `view` (removed or documents) whose columns have the `wanted` values; None means any value.

    A hash of the row and the seed decides which rows, so the same seed shows the same rows, whatever files they are
    in. Raises QueryError, which lists the existing values, when no row has a wanted one.
    """
    conditions: list[str] = []
    for column, value in wanted.items():
        if value is not None:
            conditions.append(f"{column} = {literal(value)}")
            _check(catalog, view, column, value, conditions)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    draw = f"md5(concat_ws('|', {seed}, stage, doc_id, url, source, n_bytes))"
    result = catalog.query(f"SELECT {', '.join(COLUMNS[view])} FROM {view} {where} ORDER BY {draw} LIMIT {n}")
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def _check(catalog: Catalog, view: str, column: str, value: str, conditions: list[str]) -> None:
    """Raise QueryError if no row meets the conditions, the last of which is that `column` is `value`."""
    if next(catalog.query(f"SELECT 1 FROM {view} WHERE {' AND '.join(conditions)} LIMIT 1").rows, None):
        return
    earlier = " AND ".join([*conditions[:-1], f"{column} IS NOT NULL"])
    counts = f"SELECT {column}, count(*) FROM {view} WHERE {earlier} GROUP BY 1 ORDER BY 2 DESC, 1"
    there = {str(name): number for name, number in catalog.query(counts).rows}
    rows = "removed document" if view == "removed" else "document"
    among = f" among those with {' and '.join(conditions[:-1])}" if conditions[:-1] else ""
    if not there:
        raise QueryError(f"No {rows}{among} has a {column} at all, so none has the {column} {value!r}.")
    named = ", ".join(f"{name} ({number:,})" for name, number in list(there.items())[:20])
    more = f" and {len(there) - 20} more" if len(there) > 20 else ""
    close = difflib.get_close_matches(value, there, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise QueryError(f"No {rows}{among} has the {column} {value!r}; there are {named}{more}.{hint}")
