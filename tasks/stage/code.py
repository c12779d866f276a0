"""The code of a stage: every module that shapes its result, found by following imports from the stage's own module.

A module that cannot change any result says so once, with the reason, in a constant:

    SHAPES_NO_RESULT = "draws what stages made"

Such a module is not part of a key, and its imports are not followed. Everything else is part of the key, so nobody has
to keep a list up to date.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_lake.store.ast_hashes import AstHashes
from data_lake.store.fingerprint import REPOSITORY
from data_lake.store.python_source import Import, Source, Version, file_version, read_source
from tasks.stage.errors import PermanentError

FOLLOWED = frozenset({"tasks", "model", "data_lake"})
"""The top-level packages that stage code consists of. The packages above them only run stages."""
_ABOVE = frozenset({"flows"})
_INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True)
class Code:
    """The modules of a stage, {name: fingerprint of its AST}, and the top-level names of all others they import."""

    modules: Mapping[str, str]
    imports: frozenset[str]


_known: dict[tuple[str, str, frozenset[str]], tuple[dict[str, Version], Code]] = {}


def code_of(function: Callable[..., Any], without: frozenset[str] = frozenset()) -> Code:
    """Return the code of the stage whose function is `function`; files that did not change are not followed again.

    Modules that `without` names are left out, and what they alone import.
    Raises PermanentError if the function is not in a file, or a module cannot be read.
    """
    name, path = _place(function)
    known = _known.get((name, path, without))
    if known is None or not _is_unchanged(known[0]):
        seen_before = AstHashes.of_home()
        walk = _Walk(name, path, seen_before, without)
        try:
            code = walk.follow()
        except SyntaxError as error:
            raise PermanentError(
                f"The code of the stage {function.__name__} cannot be read: {error.filename}, line {error.lineno}: "
                f"{error.msg}."
            ) from error
        known = _known[name, path, without] = (walk.versions, code)
        seen_before.save()
    return known[1]


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    """The name and the file of the module that defines a function; a script gets the name of its file."""
    function = inspect.unwrap(function)
    name = function.__module__
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None) or function.__code__.co_filename
    if not path.endswith(".py") or not os.path.isfile(path):
        raise PermanentError(
            f"The stage {function.__name__} is not defined in a Python file, so its code cannot be part of its key; "
            "put it into a module."
        )
    if name in ("__main__", "__mp_main__"):
        spec = getattr(module, "__spec__", None)
        name = spec.name if spec else Path(path).stem
    return name, os.path.abspath(path)


def _is_unchanged(files: Mapping[str, Version]) -> bool:
    try:
        return all(file_version(path) == version for path, version in files.items())
    except OSError:
        return False


class _Walk:
    """A traversal of all imports that starts at one module."""

    def __init__(self, name: str, path: str, seen_before: AstHashes, without: frozenset[str]) -> None:
        self._start, self._seen_before, self._without = (name, path), seen_before, without
        self.versions: dict[str, Version] = {}
        self._sources: dict[str, Source] = {}
        self._paths: dict[str, str | None] = {name: path}
        self._bases: dict[str, tuple[str, ...]] = {first: (str(REPOSITORY / first),) for first in FOLLOWED}
        self._bases |= dict.fromkeys(_ABOVE, ())
        first = name.partition(".")[0]
        if first not in self._bases:
            self._bases[first] = (*_own_base(name, path), *_users_bases(first))

    def follow(self) -> Code:
        """Return the code that starts at the first module, which is included whatever it declares about itself."""
        modules: dict[str, str] = {}
        libraries: set[str] = set()
        todo = [self._start]
        while todo:
            name, path = todo.pop()
            if name in modules or name in self._without:
                continue
            source = self._read(path)
            modules[name] = source.sha256
            package = name if _is_package(path) else name.rpartition(".")[0]
            is_ours = name.partition(".")[0] in FOLLOWED
            for each in source.imports:
                base = _absolute(each, package)
                first = base.partition(".")[0]
                if self._is_followed(first, is_ours):
                    todo += self._used(base, each.name)
                elif first and first not in _ABOVE:
                    libraries.add(first)
        return Code(dict(sorted(modules.items())), frozenset(libraries))

    def _used(self, base: str, name: str) -> Iterator[tuple[str, str]]:
        """The modules that `from base import name` uses, or `import base` if there is no name.

        Python also runs the `__init__` of every parent package. One that only re-exports names has no effect on the
        module that is imported here.
        """
        target = f"{base}.{name}" if name and self._path(f"{base}.{name}") else base
        parts = target.split(".")
        for used in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
            if path := self._path(used):
                source = self._read(path)
                if not source.reason and (used == target or not source.only_gathers):
                    yield used, path

    def _read(self, path: str) -> Source:
        if path not in self._sources:
            self.versions[path], self._sources[path] = read_source(path, self._seen_before)
        return self._sources[path]

    def _path(self, name: str) -> str | None:
        """The file of a module, or None if it has none."""
        if name not in self._paths:
            first, *rest = name.split(".")
            places = ["/".join([base, *rest]) for base in self._bases[first]]
            files = (f"{place}{end}" for place in places for end in ("/__init__.py", ".py"))
            self._paths[name] = next(filter(os.path.isfile, files), None)
        return self._paths[name]

    def _is_followed(self, first: str, by_ours: bool) -> bool:
        """Whether a module or package of this name is ours or the user's, and not a library."""
        if first not in self._bases:
            if by_ours:
                return False
            self._bases[first] = _users_bases(first)
        return bool(self._bases[first])


def _absolute(each: Import, package: str) -> str:
    """The absolute name of the module that an import in a module of `package` refers to."""
    if not each.level:
        return each.module
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - each.level + 1], *([each.module] if each.module else [])])


def _is_package(path: str) -> bool:
    return os.path.basename(path) == "__init__.py"


def _own_base(name: str, path: str) -> tuple[str, ...]:
    """The path of the module's top-level package or module; empty if the module's name and path do not agree."""
    module = os.path.dirname(path) if _is_package(path) else path.removesuffix(".py")
    inner = "".join(f"/{part}" for part in name.split(".")[1:])
    return (module.removesuffix(inner),) if module.endswith(inner) else ()


def _users_bases(first: str) -> tuple[str, ...]:
    """The place of a module (without .py) or package written by a user; empty for Python's own and installed ones."""
    if first in sys.stdlib_module_names:
        return ()
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    places = list(spec.submodule_search_locations or ())
    if not places and spec.origin and spec.origin.endswith(".py"):
        places = [spec.origin.removesuffix(".py")]
    return tuple(place for place in places if not _INSTALLED & set(Path(place).parts))
