"""The code of a stage: every module that shapes its result, found by following imports from the stage's own module.

A module that can change no result says so once, with the reason, in a constant of its own:

    SHAPES_NO_RESULT = "draws what stages made"

It is neither part of a key nor followed. Everything else is part of it, so nobody keeps a list up to date.
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

from data_lake.ast_hashes import AstHashes
from data_lake.fingerprint import REPOSITORY
from data_lake.python_source import Import, Source, Version, file_version, read_source
from tasks.errors import PermanentError

FOLLOWED = frozenset({"tasks", "model", "data_lake"})
"""The floors that stages are made of. What stands above them runs stages."""
_ABOVE = frozenset({"flows"})
_INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True)
class Code:
    """The modules of a stage, {name: fingerprint of its AST}, and the first names of all others that these import."""

    modules: Mapping[str, str]
    imports: frozenset[str]


_known: dict[tuple[str, str], tuple[dict[str, Version], Code]] = {}


def code_of(function: Callable[..., Any]) -> Code:
    """Return the code of the stage that `function` is; what did not change on disk is not followed again.

    Raises PermanentError where the function is in no file, or a module cannot be read.
    """
    name, path = _place(function)
    known = _known.get((name, path))
    if known is None or not _is_unchanged(known[0]):
        seen_before = AstHashes.of_home()
        walk = _Walk(name, path, seen_before)
        try:
            code = walk.follow()
        except SyntaxError as error:
            raise PermanentError(
                f"The code of the stage {function.__name__} cannot be read: {error.filename}, line {error.lineno}: "
                f"{error.msg}."
            ) from error
        known = _known[name, path] = (walk.versions, code)
        seen_before.save()
    return known[1]


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    """The name and the file of the module that defines a function; a script is called by the name of its file."""
    module = sys.modules.get(inspect.unwrap(function).__module__)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not file.endswith(".py"):
        raise PermanentError(
            f"The stage {function.__name__} is not defined in a Python file, so its code cannot be part of its key; "
            "put it into a module."
        )
    name, path = module.__name__, os.path.realpath(file)
    if name in ("__main__", "__mp_main__"):
        name = module.__spec__.name if module.__spec__ else Path(path).stem
    return name, path


def _is_unchanged(files: Mapping[str, Version]) -> bool:
    try:
        return all(file_version(path) == version for path, version in files.items())
    except OSError:
        return False


class _Walk:
    """One way along all imports that begins at a module."""

    def __init__(self, name: str, path: str, seen_before: AstHashes) -> None:
        self._start, self._seen_before = (name, path), seen_before
        self.versions: dict[str, Version] = {}
        self._sources: dict[str, Source] = {}
        self._paths: dict[str, str | None] = {name: path}
        self._roots: dict[str, str | None] = dict.fromkeys(FOLLOWED, str(REPOSITORY)) | dict.fromkeys(_ABOVE)
        if root := _root_of(name, path):
            self._roots.setdefault(name.partition(".")[0], root)

    def follow(self) -> Code:
        """Return the code of the module where the way begins, whatever it says of itself."""
        modules: dict[str, str] = {}
        libraries: set[str] = set()
        todo = [self._start]
        while todo:
            name, path = todo.pop()
            if name in modules:
                continue
            source = self._read(path)
            modules[name] = source.sha256
            package = name if _is_package(path) else name.rpartition(".")[0]
            is_ours = name.partition(".")[0] in FOLLOWED
            for each in source.imports:
                base = _absolute(each, package)
                first = base.partition(".")[0]
                if self._root(first, is_ours) is not None:
                    todo += self._used(base, each.name)
                elif first and first not in _ABOVE:
                    libraries.add(first)
        return Code(dict(sorted(modules.items())), frozenset(libraries))

    def _used(self, base: str, name: str) -> Iterator[tuple[str, str]]:
        """The modules that `from base import name`, or `import base` where there is no name, makes use of.

        Python runs the `__init__` of all packages on the way as well. One that does nothing but gather names for others
        has no effect on the one module that is wanted here.
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
        """The file of a module, or None where there is none."""
        if name not in self._paths:
            base = f"{self._roots[name.partition('.')[0]]}/{name.replace('.', '/')}"
            files = (f"{base}/__init__.py", f"{base}.py")
            self._paths[name] = next((file for file in files if os.path.isfile(file)), None)
        return self._paths[name]

    def _root(self, first: str, is_ours: bool) -> str | None:
        """The folder of a module or package that is followed, or None for a library."""
        if first not in self._roots:
            if is_ours:
                return None
            self._roots[first] = _users_root(first)
        return self._roots[first]


def _absolute(each: Import, package: str) -> str:
    """The module that an import names, seen from a module in `package`."""
    if not each.level:
        return each.module
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - each.level + 1], *([each.module] if each.module else [])])


def _is_package(path: str) -> bool:
    return os.path.basename(path) == "__init__.py"


def _root_of(name: str, path: str) -> str | None:
    """The folder below which a module of this name lies at this path; None where the two have nothing to do with each
    other."""
    module = os.path.dirname(path) if _is_package(path) else path.removesuffix(".py")
    end = "/" + name.replace(".", "/")
    return module.removesuffix(end) if module.endswith(end) else None


def _users_root(first: str) -> str | None:
    """The folder of a module or package that a user wrote beside a stage; None for Python's own and installed ones."""
    if first in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    path = Path(places[0]).resolve()
    is_python = bool(spec.submodule_search_locations) or path.suffix == ".py"
    return str(path.parent) if is_python and not _INSTALLED & set(path.parts) else None
