"""The benchmarks stage: reads official files into items, and accounts for every row."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data_lake.store.files import write_whole
from tasks.benchmarks.base import BadRow, Benchmark, Item
from tasks.benchmarks.config import BenchmarksConfig
from tasks.benchmarks.files import ASKED, SHOTS, BenchmarkFile
from tasks.benchmarks.items import WHOLE_FILE, chosen, items_of
from tasks.benchmarks.preflight import check
from tasks.benchmarks.registry import BENCHMARKS
from tasks.benchmarks.store import FILES, PROBLEMS, as_row, write_table
from tasks.corpus.benchmarks.official import ITEMS
from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.source_files import is_remote
from tasks.stage import Artifact, Output, PermanentError, kinds, stage


def sources(config: BenchmarksConfig) -> str | None:
    """Return a fingerprint of the local files; a file with a URL is known by its URL alone."""
    digest = hashlib.sha256()
    for name, part, file in chosen(config):
        own = "" if is_remote(file.place) else hashlib.sha256(Path(file.place).read_bytes()).hexdigest()
        digest.update(f"{name}\0{part}\0{file.name}\0{own}\0".encode())
    return digest.hexdigest() if config.files else None


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that items and rows left out add up to the rows that were read."""
    import pyarrow.parquet as pq

    counts = artifact.counts
    items = pq.read_metadata(artifact.path / ITEMS).num_rows
    left_out = sum(pq.read_table(artifact.path / PROBLEMS, columns=["left_out"])["left_out"].to_pylist())
    if (items, left_out) != (counts["items"], counts["left_out"]):
        counted = f"{counts['items']:,} and {counts['left_out']:,}"
        yield f"{items:,} items and {left_out:,} rows left out are written, but {counted} were counted."
    if items + left_out != counts["rows"]:
        yield f"{items:,} items and {left_out:,} rows left out are not the {counts['rows']:,} rows of the files."


@stage(makes=kinds.Benchmarks, version=1, contract=contract, sources=sources, check=check)
def benchmarks(config: BenchmarksConfig, out: Output) -> None:
    """Read the official files of benchmarks: each row becomes an item, or is left out with its file, number and reason.

    Rows that stand in a file twice are counted and kept, as in lm-eval.
    """
    items: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    rows: Counter[str] = Counter()
    seen: dict[tuple[str, str, str], tuple[str, int]] = {}
    for done, (name, part, file) in enumerate(found := list(chosen(config))):
        out.progress(done, len(found), "files", file.name)
        files.append({"benchmark": name, "part": part})
        for number, made in _items(BENCHMARKS[name], file, out, files[-1].update):
            where = {"benchmark": name, "part": part, "file": file.name, "row": number}
            if number == WHOLE_FILE:
                problems.append({**where, "reason": str(made), "left_out": False})
                continue
            rows[_counted(name, part)] += 1
            if isinstance(made, BadRow):
                problems.append({**where, "reason": str(made), "left_out": True})
                continue
            items.append({**where, **as_row(made)})
            first = seen.setdefault((name, part, _asked_text(made)), (file.name, number))
            if first != (file.name, number):
                reason = f"it asks the same as row {first[1]} of {first[0]}"
                problems.append({**where, "reason": reason, "left_out": False})
    _tell(out, config, rows, problems)
    write_table(out.dir, ITEMS, items)
    write_table(out.dir, PROBLEMS, problems)
    write_whole(out.dir / FILES, json.dumps(files, indent=1, ensure_ascii=False) + "\n")


def _items(
    benchmark: Benchmark, file: BenchmarkFile, out: Output, tell: Callable[..., None]
) -> Iterator[tuple[int, Item | BadRow]]:
    """Yield the item of each row of a file, or what is wrong with the row; tell first which bytes the file has."""
    with _local(file, out.work) as path:
        with open(path, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        tell(place=_public(file), bytes=path.stat().st_size, sha256=digest)
        yield from items_of(benchmark, file, path)


def _public(file: BenchmarkFile) -> str:
    """Return the name of a file, or a URL without what may be secret in it."""
    if not is_remote(file.place):
        return file.name
    parts = urlsplit(file.place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextlib.contextmanager
def _local(file: BenchmarkFile, work: Path) -> Iterator[Path]:
    """Provide the file on the disk, fetched if its place is a URL."""
    if not is_remote(file.place):
        yield Path(file.place)
        return
    from tasks.corpus.crawl.remote import FetchError, fetched

    host = urlsplit(file.place).hostname or ""  # who names a host in the recipe trusts it, also on the own network
    try:
        with fetched(file.place, CrawlConfig(allow_private_hosts=(host,)), work) as path:
            yield path
    except FetchError as error:
        raise PermanentError(f"{file.place} cannot be fetched ({error.detail}).") from error


def _asked_text(item: Item) -> str:
    return "\0".join([item.subject, *item.contexts, *item.choices, *map(str, item.facts.get("choices", ()))])


def _tell(out: Output, config: BenchmarksConfig, rows: Counter[str], problems: list[dict[str, Any]]) -> None:
    """Count rows, items and problems of what is asked and of what has the shots, and warn of problems."""
    for name in [one for own in config.files for one in (own, _counted(own, SHOTS)) if rows[one]]:
        own = [problem for problem in problems if _counted(problem["benchmark"], problem["part"]) == name]
        left_out = [problem for problem in own if problem["left_out"]]
        twice = [problem for problem in own if not problem["left_out"] and problem["row"] != WHOLE_FILE]
        counts = {"rows": rows[name], "left_out": len(left_out), "duplicates": len(twice)}
        out.count(**{f"{name}_{kind}": number for kind, number in counts.items()})
        if left_out:
            first = left_out[0]
            out.warning(
                f"{name}: {len(left_out):,} of {rows[name]:,} rows are left out; the first is row {first['row']} of "
                f"{first['file']}: {first['reason']}. {PROBLEMS} has all of them."
            )
        if twice:
            out.warning(f"{name}: {len(twice):,} of {rows[name]:,} rows ask the same as an earlier one; they are kept.")
    for problem in problems:
        if problem["row"] == WHOLE_FILE:
            out.warning(f"{problem['benchmark']}: {problem['file']}: {problem['reason']}.")
    for name in config.files:
        if rows[name] == sum(p["left_out"] for p in problems if (p["benchmark"], p["part"]) == (name, ASKED)):
            reasons = [p for p in problems if p["benchmark"] == name and p["left_out"]]
            why = "".join(f" (row {p['row']} of {p['file']}: {p['reason']})" for p in reasons[:1])
            raise PermanentError(f"No row of {name} is an item{why}; correct questions.benchmarks.{name}.path.")
    total, without = sum(rows.values()), sum(problem["left_out"] for problem in problems)
    out.count(rows=total, items=total - without, left_out=without)


def _counted(name: str, part: str) -> str:
    """Return the name under which the rows of a part are counted."""
    return name if part == ASKED else f"{name}_shots"
