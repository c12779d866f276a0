"""Tasks of lm-eval whose rows come from local files: the YAML stays lm-eval's own, and nothing is fetched."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.benchmarks.base import BadRow, Benchmark, Item
from tasks.benchmarks.files import files_of
from tasks.benchmarks.items import WHOLE_FILE, items_of
from tasks.benchmarks.reading import rows_of
from tasks.benchmarks.registry import BENCHMARKS
from tasks.stage import PermanentError

_NAMES = {"train": "train", "validation": "validation", "dev": "validation", "test": "test"}
OFFLINE = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1", "DISABLE_MULTIPROC": "1"}


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Keep lm-eval and `datasets` from the network, which they would ask for data sets, and from other processes."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    os.environ.update(OFFLINE)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def task_of(manager: Any, name: str, paths: Sequence[str], shots: int) -> Any:
    """Return lm-eval's task with the rows of local files; PermanentError if they are not there or not its rows.

    The names of the files tell their splits; a single file without one is what is asked. Splits that are not there are
    taken out of the task: lm-eval would stop at them, although it draws no shots.
    """
    entry = manager._entry(name)
    if entry is None or not entry.yaml_path:
        raise PermanentError(f"lm-eval has no task {name!r} of its own; `lm-eval ls tasks` lists them.")
    config = manager._factory._load_full_config(entry, None)
    own = [config[role] for role in ("test_split", "validation_split") if config.get(role)]
    splits = splits_of(name, paths, asked := own[0])
    if not set(own) & set(splits):  # without the test split, lm-eval asks the validation split
        raise PermanentError(f"{name} asks the split {asked!r}, but the files have {', '.join(splits) or 'none'}.")
    roles = ("training_split", "validation_split", "test_split", "fewshot_split")
    missing = {role: None for role in roles if config.get(role) not in (None, *splits)}
    pool = next((config[role] for role in ("fewshot_split", *roles) if config.get(role)), None)
    if shots and pool not in splits:
        raise PermanentError(f"The shots of {name} come from the split {pool!r}, and no file has it.")
    overrides = {"custom_dataset": lambda **_: splits, "dataset_kwargs": None, **missing}
    return manager._factory.build(entry, overrides=overrides, registry=manager._index)


@contextlib.contextmanager
def naming_rows(tasks: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Say which row is at fault where lm-eval stumbles over one: its own error names neither file nor row."""
    import jinja2

    try:
        yield
    except (jinja2.TemplateError, LookupError, TypeError, AttributeError, ValueError) as error:
        for name, paths in tasks.items():
            if name in BENCHMARKS and (said := _first_fault(BENCHMARKS[name], paths)):
                raise PermanentError(said) from error
        if isinstance(error, ValueError):  # those of lm-eval itself and of our adapter are sentences
            raise
        raise PermanentError(
            f"lm-eval cannot ask the rows that were given for {', '.join(tasks)} ({type(error).__name__}: {error}). "
            "Give files with the columns that the task's own data set has."
        ) from error


def _first_fault(benchmark: Benchmark, paths: Sequence[str]) -> str | None:
    """Return the place of the first row that is none of the benchmark's, and why; None if there is no such row."""
    for file in files_of(benchmark, paths, f"--data {benchmark.name}"):
        for number, item in items_of(benchmark, file, Path(file.place)):
            if isinstance(item, BadRow) and number != WHOLE_FILE:
                return f"{file.place}, row {number} is no row of {benchmark.name}: {item}."
    return None


def splits_of(name: str, paths: Sequence[str], asked: str) -> Mapping[str, Any]:
    """Return a `datasets.Dataset` for each split of the files."""
    import datasets

    benchmark = BENCHMARKS.get(name) or Benchmark(name, _no_item)
    rows: dict[str, list[dict[str, Any]]] = {}
    for file in files_of(benchmark, paths, f"--data {name}"):
        split = asked if file.split in ("", asked) else _NAMES.get(file.split, file.split)
        if asked == "dev" or (file.split == "dev" and name.startswith("mmlu")):
            split = file.split
        for number, row in rows_of(benchmark, Path(file.place)):
            if isinstance(row, BadRow):
                raise PermanentError(f"{file.place}, row {number} cannot be given to lm-eval: {row}.")
            rows.setdefault(split, []).append(row)
    return {split: datasets.Dataset.from_list(own) for split, own in rows.items()}


def _no_item(row: dict[str, Any], subject: str) -> Item:
    raise NotImplementedError("lm-eval makes the items of its tasks itself")
