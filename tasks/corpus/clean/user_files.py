"""The user's files that the config of clean names: found by globs, read as lists, and part of the stage's identity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.corpus.clean.config import CleanConfig
from tasks.stage import PermanentError
from tasks.stage.file_patterns import matching


def files(patterns: Iterable[str], field: str) -> list[Path]:
    """Return the files that globs match, in order; raises PermanentError if a glob matches no file."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = [Path(path) for path in matching(pattern)]
        if not matches:
            raise PermanentError(f"{field} names {pattern!r}, but there is no such file (paths start at {Path.cwd()}).")
        found.update(dict.fromkeys(matches))
    return list(found)


def lines(patterns: Iterable[str], field: str) -> Iterator[str]:
    """Yield the entries of list files: one per line, without blank lines and lines that begin with #."""
    for path in files(patterns, field):
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise PermanentError(f"{path}, which {field} names, is not UTF-8: {error}.") from error
        for line in text.split("\n"):  # read_text has turned \r\n and \r into \n
            if (entry := line.strip()) and not entry.startswith("#"):
                yield entry


def source_fingerprint(config: CleanConfig) -> str | None:
    """Return the sha256 (hex) of all files that the config names, so that editing a list causes a new run."""
    filters = config.filters
    named: list[tuple[str, tuple[str, ...]]] = [
        ("clean.normalize.sensitive_files", config.normalize.sensitive_files),
        ("clean.filters.bad_words.files", filters.bad_words.files),
        ("clean.filters.url_list.files", filters.url_list.files),
    ]
    for classifier in filters.classifiers:
        for kind in ("labelled", "positive", "negative"):
            named.append((f"clean.filters.classifiers.{classifier.name}.{kind}", getattr(classifier, kind)))
    whole = hashlib.sha256()
    some = False
    for field, patterns in named:
        for path in files(patterns, field):
            some = True
            with open(path, "rb") as file:
                whole.update(f"{field}\0{path.name}\0".encode() + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest() if some else None
