"""The files of a benchmark: which of them are asked, which have the shots, and of which subject each is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.benchmarks.base import Benchmark
from tasks.corpus.crawl.file_kinds import ROWS, kind_of_name
from tasks.corpus.crawl.source_files import NoSuchSource, find_local, is_remote
from tasks.stage import PermanentError

READ, TEXTS = (*ROWS, ".arrow"), (".txt", ".text")
_NOT_ROWS = ("dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json", "readme.txt", "license.txt")
_SPLITS = {
    "train": "train", "training": "train", "auxiliary": "train", "trn": "train", "dev": "dev", "val": "validation",
    "valid": "validation", "validation": "validation", "test": "test", "tst": "test",
}  # fmt: skip
ASKED, SHOTS = "asked", "shots"


@dataclass(frozen=True)
class BenchmarkFile:
    """One file: a local path or a URL, its name in reports, the split and the subject that its name tells."""

    place: str
    name: str
    split: str = ""
    subject: str = ""


def files_of(benchmark: Benchmark, entries: Sequence[str], field: str) -> list[BenchmarkFile]:
    """Return all files that the entries name, in order; PermanentError if an entry names none."""
    found: list[BenchmarkFile] = []
    for entry in entries:
        if is_remote(entry):
            found.append(BenchmarkFile(entry, entry.rsplit("/", 1)[-1], *_told([entry.rsplit("/", 1)[-1]])))
            continue
        try:
            files = [file for file in find_local([entry]) if file.problem in (None, "unknown_type")]
        except NoSuchSource:
            files = []
        paths = [Path(file.place) for file in files]
        single = len(paths) == 1 and paths[0].is_file() and str(paths[0]) == entry
        root = Path(entry) if Path(entry).is_dir() else None
        paths = [path for path in paths if single or _has_rows(benchmark, path)]
        paths = _of_folder(benchmark, root, paths)
        if not paths:
            raise PermanentError(
                f"{field} names {entry!r}, but there is no file of rows: jsonl, json, csv, tsv, parquet, arrow or txt. "
                f"Paths start at {Path.cwd()}."
            )
        for path in paths:
            parts = path.relative_to(root).parts if root else (path.name,)
            found.append(BenchmarkFile(str(path), "/".join(parts), *_told(parts)))
    return found


def asked_and_shots(
    benchmark: Benchmark, files: Sequence[BenchmarkFile], shots: Sequence[BenchmarkFile]
) -> Iterator[tuple[str, BenchmarkFile]]:
    """Yield (ASKED or SHOTS, file): what is asked is the benchmark's own split, if the names of the files tell it.

    Files whose names tell no split are asked. If the benchmark's split is not there, the other one that has answers is
    asked (validation or test); train only if there is nothing else. A file may be both.
    """
    splits = {file.split for file in files}
    wanted = benchmark.evaluated
    order = dict.fromkeys(
        [wanted, *(("dev",) if wanted == "validation" else ()), "", "validation", "test", "dev", "train"]
    )
    asked = next(split for split in order if split in splits)
    yield from ((ASKED, file) for file in files if file.split == asked)
    if shots:
        yield from ((SHOTS, file) for file in shots)
    else:
        yield from ((SHOTS, file) for file in files if file.split == benchmark.shots_from)


def _of_folder(benchmark: Benchmark, root: Path | None, paths: list[Path]) -> list[Path]:
    """Return the files in the benchmark's own folder of a collection, if there is one."""
    names = {name.casefold() for name in benchmark.folder}
    own = [path for path in paths if root and names & {part.casefold() for part in path.relative_to(root).parts[:-1]}]
    return own or paths


def _has_rows(benchmark: Benchmark, path: Path) -> bool:
    name = path.name.lower()
    read = READ if benchmark.plain_text is None else (*READ, *TEXTS)
    return kind_of_name(name) in read and name not in _NOT_ROWS and not name.startswith(".")


def _told(parts: Sequence[str]) -> tuple[str, str]:
    """Return split and subject that a path tells: `dev/anatomy_dev.csv` or `anatomy/test-00000-of-00001.parquet`."""
    split, subject = "", ""
    for part in parts:
        stem = part.split(".")[0] if part is parts[-1] else part
        words = re.split(r"[^A-Za-z0-9]+", stem)
        named = [word for word in words if word.lower() in _SPLITS]
        if named:
            split = _SPLITS[named[-1].lower()]
            if matched := [word for word in words if word.lower() in ("matched", "mismatched")]:  # MNLI's two halves
                split = f"{split.replace('dev', 'validation')}_{matched[0].lower()}"
        rest = [word for word in words if word and word.lower() not in _SPLITS and not re.fullmatch(r"of|\d{5}", word)]
        if rest and rest != ["data"] and not (subject and part is parts[-1] and not named):
            subject = "_".join(rest)
    return split, subject
