"""The items of official benchmarks that are asked: chosen evenly from their subjects, each with its shots."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.tables.documents import write_parquet
from tasks.benchmarks.base import Benchmark, Item
from tasks.benchmarks.prompts import shots_of
from tasks.benchmarks.registry import BENCHMARKS
from tasks.benchmarks.store import as_item, as_row, item_schema, read_items
from tasks.corpus.benchmarks.item import Item as Passage
from tasks.corpus.benchmarks.official import passage
from tasks.stage import Output, PermanentError
from tasks.synthetic.questions.config import AskedConfig, QuestionsConfig
from tasks.synthetic.questions.shares import evenly

if TYPE_CHECKING:
    import pyarrow as pa

CHOSEN = "benchmarks.parquet"


@dataclass(frozen=True)
class Chosen:
    """An item that is asked: what stands before its question, how many shots that has, and what training has of it."""

    item: Item
    before: str
    shots: int
    contaminated: bool = False
    share: float = 0.0


def choose(config: QuestionsConfig, out: Output, folder: Path | None) -> tuple[dict[str, list[Chosen]], dict[str, int]]:
    """Return the chosen items of each benchmark, and how many there were to choose from.

    folder: the artifact of the benchmarks stage.
    """
    chosen: dict[str, list[Chosen]] = {}
    available: dict[str, int] = {}
    for name, given in config.benchmarks.items():
        if folder is None:
            raise PermanentError(f"questions.benchmarks asks {name}, but no benchmarks were read.")
        benchmark, found = BENCHMARKS[name], read_items(folder, name, "asked")
        limit = config.max_items if given.limit is None else given.limit or len(found)
        items = selected(found, limit, given.seed)
        count = shots_wanted(benchmark, given)
        pool = read_items(folder, name, "shots") if count else []
        try:
            shots = shots_of(benchmark, items, pool, count)
        except ValueError as error:
            raise PermanentError(f"{error} Name their files in questions.benchmarks.{name}.shots_path.") from error
        chosen[name] = [
            Chosen(item, benchmark.before(item, own), len(own)) for item, own in zip(items, shots, strict=True)
        ]
        available[name] = len(found)
        short = sum(len(own) < count for own in shots)
        out.count(**{f"{name}_items": len(items), f"{name}_available": len(found), f"{name}_without_shots": short})
        if short:
            out.warning(
                f"{name}: {short:,} of {len(items):,} items have fewer than {count} shots, as dev/ has no more."
            )
    return chosen, available


def shots_wanted(benchmark: Benchmark, given: AskedConfig) -> int:
    """Return the number of shots: the recipe's, else lm-eval's default."""
    return 0 if benchmark.fixed_shots else benchmark.shots if given.shots is None else given.shots


def selected(items: Sequence[Item], limit: int, seed: int | None) -> list[Item]:
    """Return at most `limit` items in their order, evenly from the subjects: the first ones, or random ones."""
    if seed is None:
        return evenly(items, limit, lambda item: item.subject)
    order = list(range(len(items)))
    random.Random(seed).shuffle(order)
    return [items[place] for place in sorted(evenly(order, limit, lambda place: items[place].subject))]


def passages_of(name: str, chosen: Sequence[Chosen]) -> list[Passage]:
    """Return what is looked for in training documents."""
    return [
        passage(name, str(number), one.item.question, one.item.answer, one.item.choices, one.item.facts)
        for number, one in enumerate(chosen)
    ]


def write_chosen(folder: Path, chosen: dict[str, list[Chosen]]) -> None:
    """Write the items of all benchmarks as one file."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = [
        {"benchmark": name, "before": one.before, "shots": one.shots, **as_row(one.item), **_seen(one)}
        for name, items in chosen.items()
        for one in items
    ]
    write_parquet(folder / CHOSEN, pa.Table.from_pylist(rows, schema=chosen_schema()))


def read_chosen(folder: Path) -> dict[str, list[Chosen]]:
    """Read what `write_chosen` wrote."""
    import pyarrow.parquet as pq

    found: dict[str, list[Chosen]] = {}
    for row in pq.read_table(folder / CHOSEN).to_pylist():
        one = Chosen(as_item(row), row["before"], row["shots"], row["contaminated"], row["found_in_training"])
        found.setdefault(row["benchmark"], []).append(one)
    return found


def chosen_schema() -> pa.Schema:
    """Return the columns of the file."""
    import pyarrow as pa

    first = {"benchmark": pa.string(), "before": pa.string(), "shots": pa.int32()}
    last = {"contaminated": pa.bool_(), "found_in_training": pa.float64()}
    named = [[pa.field(name, kind, nullable=False) for name, kind in part.items()] for part in (first, last)]
    return pa.schema([*named[0], *item_schema(), *named[1]])


def _seen(one: Chosen) -> dict[str, Any]:
    return {"contaminated": one.contaminated, "found_in_training": one.share}
