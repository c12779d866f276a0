"""Fingerprints: canonical JSON of values, and the AST of code, both as sha256."""

from __future__ import annotations

import ast
import contextlib
import datetime
import enum
import functools
import hashlib
import json
import math
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_lake.ast_hashes import AstHashes

REPOSITORY = Path(__file__).resolve().parent.parent
# Files that only answer questions before a run, by name.
SHAPE_NO_RESULT = {"preflight.py"}
_PARSE_TRIES = 100
# Prefix under which the cache of hashes also stores the imports of a source.
_IMPORTS = "imports of\n"


def canonical(value: Any, where: str = "value") -> Any:
    """Return `value` as plain JSON data that has the same form for equal values.

    Raises TypeError, naming the place, for any type it does not know: falling back to str() or pickle could give one
    value two fingerprints in two processes (as sets and default reprs do), and the cache would be silently wrong.
    """
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{where} is {value}, which has no canonical form; use a finite number or null.")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, enum.Enum):
        return canonical(value.value, where)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Mapping):
        bad = [key for key in value if not isinstance(key, str)]
        if bad:
            raise TypeError(f"{where} has the key {bad[0]!r}; only text keys have a canonical form.")
        return {key: canonical(value[key], f"{where}.{key}") for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        items = [canonical(item, f"{where}{{}}") for item in value]
        return {"set": sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}
    raise TypeError(
        f"{where} is a {type(value).__name__}, which has no canonical form; "
        "use numbers, text, lists, mappings, paths, dates or enums in a config."
    )


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value` (sorted keys, no spaces, ASCII)."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256_of(value: Any) -> str:
    """Return the sha256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_fingerprint(modules: tuple[str, ...]) -> dict[str, str]:
    """Return {module: fingerprint of its AST} for each dotted module or package; packages with all their files except
    those that do not affect results.

    Comments, docstrings and formatting do not count. Marin's caches went stale for weeks because code was not in the
    key (marin-community/marin#5034); hashing the raw text, however, would retrain after a reworded comment.
    """
    known = AstHashes.of_home()
    found = {}
    for name, path in _files(modules):
        source = path.read_bytes()
        with _errors_name(path):
            found[name] = known.get(source, source_ast_sha256)
        known.get(_IMPORTS.encode() + source, _imports)  # will be needed soon, and the source is parsed already
    known.save()
    return found


def imported_modules(modules: tuple[str, ...]) -> set[str]:
    """Return the top-level name of every module that these modules and packages import, at any depth."""
    known = AstHashes.of_home()
    found = {known.get(_IMPORTS.encode() + path.read_bytes(), _imports) for _, path in _files(modules)}
    known.save()
    return {name for names in found for name in names.split()}


@contextlib.contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Add the file name to a syntax error: the parser only sees the text."""
    try:
        yield
    except SyntaxError as error:
        error.filename = str(path)
        raise


def _files(modules: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Yield name and file of each module; of packages, all files except those that do not affect results."""
    for module in modules:
        base = REPOSITORY.joinpath(*module.split("."))
        if base.is_dir():
            paths = sorted(path for path in base.rglob("*.py") if path.name not in SHAPE_NO_RESULT)
        elif base.with_suffix(".py").is_file():
            paths = [base.with_suffix(".py")]
        else:
            raise FileNotFoundError(f"The stage declares the code {module!r}, but textmill has no such module.")
        for path in paths:
            yield ".".join(path.relative_to(REPOSITORY).with_suffix("").parts), path


def _imports(source: str) -> str:
    names: set[str] = set()
    for node in ast.walk(_parse(source.removeprefix(_IMPORTS))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return " ".join(sorted(names))


def source_ast_sha256(source: str) -> str:
    """Return the first 16 hex digits of the sha256 of the source's AST without docstrings."""
    tree = _parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
            and isinstance(node.body[0].value.value, str)
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=1)
def _parse(source: str) -> ast.Module:
    """Parse, and try again if another thread that parses at the same time confused the interpreter.

    Threads share the recursion counter (CPython gh-106905, seen with 3.11.7), so the SystemError "AST constructor
    recursion depth mismatch" says nothing about the source.
    """
    for _ in range(_PARSE_TRIES):
        with contextlib.suppress(SystemError):
            return ast.parse(source)
        time.sleep(random.uniform(0, 0.01))
    return ast.parse(source)
