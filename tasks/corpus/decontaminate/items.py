"""All benchmark items that the config names: from HellaSwag's and MMLU's own files, and from any other files."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.corpus.benchmarks.formats import mmlu_files, read_hellaswag, read_mmlu
from tasks.corpus.benchmarks.item import Item, hellaswag_texts, mmlu_texts
from tasks.corpus.benchmarks.item_rows import read_benchmark
from tasks.corpus.benchmarks.official import official_passages
from tasks.corpus.benchmarks.rows import find_files
from tasks.corpus.crawl.streams import SUFFIXES as PACKED
from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.stage import PermanentError


def benchmark_files(config: DecontaminateConfig) -> list[Path]:
    """Return every file that the config names, sorted within each pattern; PermanentError if one names none."""
    found: list[Path] = []
    if config.hellaswag:
        found.append(Path(config.hellaswag))
    if config.mmlu:
        found += list(mmlu_files(Path(config.mmlu), "test").values()) or [Path(config.mmlu) / "test"]
    for entry in config.benchmarks:
        found += find_files(entry)
    if missing := [path for path in found if not path.is_file()]:
        raise PermanentError(f"decontaminate looks for the benchmark {missing[0]}, but there is no such file.")
    return found


def read_items(config: DecontaminateConfig, official: Path | None = None) -> list[Item]:
    """Return all items of all benchmarks; PermanentError names the file and row of an item that cannot be read.

    official: the artifact of the benchmarks that models are asked, whose items are looked for too.
    """
    benchmark_files(config)
    items: list[Item] = [] if official is None else official_passages(official)
    if config.hellaswag:
        items += hellaswag_texts(read_hellaswag(Path(config.hellaswag)))
    if config.mmlu:
        items += mmlu_texts(read_mmlu(Path(config.mmlu))[0])
    named = {item.benchmark for item in items}
    read: set[tuple[int, int]] = set()
    for path in (path for entry in config.benchmarks for path in find_files(entry)):
        stat = os.stat(path)
        if (stat.st_dev, stat.st_ino) in read:  # two entries name the same file
            continue
        read.add((stat.st_dev, stat.st_ino))
        stem = Path(path.name)
        while stem.suffix.lower() in PACKED:
            stem = Path(stem.stem)
        # files with the same name (test.jsonl of two benchmarks) are distinguished by their folders
        name = stem.stem if stem.stem not in named else path.as_posix()
        named.add(name)
        items += read_benchmark(path, name)
    return items
