"""What a Python source says without being run: the hash of its AST, what it imports, and whether it shapes results."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import random
import time
from collections.abc import Iterator
from typing import NamedTuple

from data_lake.store.ast_hashes import AstHashes

REASON = "SHAPES_NO_RESULT"
"""The constant with which a module says that nothing in it can change what a stage makes, and why."""
_PARSE_TRIES = 100


class Import(NamedTuple):
    """One import: `import module`, or one name of `from module import name`; `level` counts the leading dots."""

    module: str
    name: str = ""
    level: int = 0


class Source(NamedTuple):
    """What is known of a source.

    reason: its SHAPES_NO_RESULT, empty where it has none. only_gathers: it does nothing but import names, so a package
    with this `__init__` adds nothing to the one module of it that somebody imports.
    """

    sha256: str
    imports: tuple[Import, ...]
    reason: str
    only_gathers: bool


Version = tuple[int, int, int]
_read: dict[str, tuple[Version, Source]] = {}


def read_source(path: str, seen_before: AstHashes) -> tuple[Version, Source]:
    """Return what the source at `path` says, and which version of the file that is.

    A process reads a file that did not change once, and all processes of a home parse the same bytes once. Raises
    SyntaxError, naming the file, where it is no Python.
    """
    version = file_version(path)
    known = _read.get(path)
    if known is None or known[0] != version:
        with open(path, "rb") as file:
            text = file.read()
        try:
            told = seen_before.get(text, describe_source)
        except SyntaxError as error:  # the parser is given bytes and does not know their file
            error.filename = path
            raise
        sha256, imports, reason, only_gathers = json.loads(told)
        source = Source(sha256, tuple(Import(*each) for each in imports), reason, only_gathers)
        known = _read[path] = (version, source)
    return known


def file_version(path: str) -> Version:
    """Return what changes when the file at `path` does: time of modification (ns), size, inode."""
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def describe_source(text: bytes) -> str:
    """Return the fields of a Source as JSON: the form in which a home remembers them."""
    tree = _parse(text)
    imports = sorted(set(_imports(tree)))
    reason, gathers = "", True
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))) if name == REASON:
                reason = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(value))) if name == REASON:
                reason = value
            case ast.Import() | ast.ImportFrom() | ast.Assign(targets=[ast.Name(id="__all__")]):
                pass
            case _ if not _is_text(statement):
                gathers = False
    return json.dumps([_ast_sha256(tree), imports, reason, gathers], separators=(",", ":"))


def _ast_sha256(tree: ast.Module) -> str:
    """Return the first 16 hex digits of the sha256 of an AST without its docstrings, also those below an attribute.

    Comments, docstrings and formatting do not count, nor does any other text that stands alone as a statement: it does
    nothing. Marin's caches went stale for weeks because code was not in the key (marin-community/marin#5034); hashing
    raw text instead would retrain after a reworded comment.
    """
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [statement for statement in statements if not _is_text(statement)])
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _imports(node: ast.AST) -> Iterator[Import]:
    """All imports below a node, in functions too, but for those that only a type checker makes."""
    if isinstance(node, ast.Import):
        yield from (Import(alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (Import(node.module or "", alias.name, node.level) for alias in node.names)
    elif isinstance(node, ast.If) and _is_type_checking(node.test):
        for other in node.orelse:
            yield from _imports(other)
    elif not isinstance(node, ast.expr):  # no expression holds a statement
        for child in ast.iter_child_nodes(node):
            yield from _imports(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _parse(text: bytes) -> ast.Module:
    """Parse, and try again if another thread that parses at the same time confused the interpreter.

    Threads share the recursion counter (CPython gh-106905, seen with 3.11.7), so the SystemError "AST constructor
    recursion depth mismatch" says nothing about the source.
    """
    for _ in range(_PARSE_TRIES):
        with contextlib.suppress(SystemError):
            return ast.parse(text)
        time.sleep(random.uniform(0, 0.01))
    return ast.parse(text)
