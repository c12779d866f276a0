"""The shape of the house: imports go downwards only, the light floors stay light, every file says what it is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "flows": {"tasks", "data_lake"},
    "tasks": {"model", "data_lake"},
    "model": set(),
    "data_lake": set(),
}
FOREIGN = {"model": {"prefect", "mlflow"}, "data_lake": {"prefect", "mlflow", "torch"}}
TOP_LEVEL = {
    ".ci", ".gitignore", "LICENSE", "Makefile", "README.md", "constraints.txt", "data_lake", "deployments", "docs",
    "flows", "model", "pyproject.toml", "tasks", "tests",
}  # fmt: skip
HEAVY = (
    "torch", "prefect", "mlflow", "pyarrow", "duckdb", "numba", "scipy", "matplotlib", "pandas", "tiktoken", "rustbpe",
    "resiliparse", "fastwarc", "sqlalchemy", "httpx",
)  # fmt: skip
ALSO_COVERS = re.compile(r"^Also covers: (\S+)$", re.M)
MODULE_NAME = re.compile(r"\b(?:flows|tasks|model|data_lake)(?:\.\w+)+")
MAX_LINES = 400  # the aim is 60 to 350
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports anywhere, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno} has a relative import; name the module in full."
            yield node.module or "", node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_go_downwards_only(path: Path) -> None:
    floor = path.relative_to(ROOT).parts[0]
    above = set(FLOORS) - FLOORS[floor] - {floor} | {"deployments", "tests"}
    forbidden = above | FOREIGN.get(floor, set())
    wrong = [
        f"{name(path)}:{line} imports {module}" for module, line in imported(path) if module.split(".")[0] in forbidden
    ]
    assert not wrong, f"The floor {floor} must not import this: {wrong}"


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules_imported(path: Path, *, for_types: bool = False) -> Iterator[str]:
    """Every module of the tree that a file imports when it runs, within functions too, or also for a type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


MODULES = {module_of(path): path for path in SOURCES}


IMPORTS = {module: set(modules_imported(path, for_types=True)) for module, path in MODULES.items()}


def room_of(module: str) -> str:
    """The folder directly below its floor in which a module lies; `model` is one room."""
    floor, *below = module.split(".")
    return f"{floor}.{below[0]}" if below and floor != "model" else floor


def circle_in(imports: dict[str, set[str]]) -> str:
    """Who imports whom in a circle, if somebody does."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return " → ".join(reversed(error.args[1]))
    return ""


def test_no_module_imports_itself_through_others() -> None:
    """Imports in functions and for types count: they hide a circle from Python, not from who has to understand it."""
    circle = circle_in(IMPORTS)
    assert not circle, f"These modules import each other in a circle: {circle}"


def test_no_room_imports_itself_through_others() -> None:
    rooms: dict[str, set[str]] = {}
    for module, imports in IMPORTS.items():
        room = room_of(module)
        rooms.setdefault(room, set()).update({room_of(other) for other in imports} - {room})
    circle = circle_in(rooms)
    assert not circle, f"These rooms import each other in a circle: {circle}"


@pytest.mark.parametrize("floor", sorted(set(FLOORS) - {"model"}))
def test_files_lie_in_rooms(floor: str) -> None:
    loose = {path.name for path in (ROOT / floor).glob("*.py")} - {"__init__.py"}
    assert not loose, f"These files of {floor} lie in no room: {sorted(loose)}"


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name)
def test_a_file_has_one_subject_that_its_first_line_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path in TESTS and path.name == "__init__.py":
        return
    first_line = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    assert len(first_line) > 15, f"{name(path)} does not say in its first line what it is about."
    assert text.count("\n") <= MAX_LINES, f"{name(path)} has more than {MAX_LINES} lines; split it by subject."


def test_the_top_level_holds_the_floors_and_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("This is no git checkout, so there is no list of the project's own files.")
    found = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert found <= TOP_LEVEL, f"These do not belong at the top level: {sorted(found - TOP_LEVEL)}"


def test_deployments_hold_no_python() -> None:
    assert not list((ROOT / "deployments").rglob("*.py"))


def subject_of(test: Path) -> str | None:
    """The file or folder that a test file names: test_<file>.py, or test_<file>_<part>.py for a part of its subject."""
    folder = ROOT.joinpath(*test.relative_to(ROOT / "tests").parts[:-1])
    words = test.stem.removeprefix("test_").split("_")
    for n in range(len(words), 0, -1):
        path = folder / "_".join(words[:n])
        if path.is_dir() or path.with_suffix(".py").is_file():
            return name(path if path.is_dir() else path.with_suffix(".py"))
    return None


def test_tests_mirror_the_tree() -> None:
    """tests/<floor>/<path>/test_<file>.py tests <floor>/<path>/<file>.py, or a part of it (test_<file>_<part>.py)."""
    mirrors = [path for path in TESTS if path.relative_to(ROOT / "tests").parts[0] in FLOORS]
    strays = [name(path) for path in mirrors if path.name.startswith("test_") and subject_of(path) is None]
    assert not strays, f"These test files name no file of the tree: {strays}"


def test_the_tree_mirrors_its_tests() -> None:
    """Each file has a test of its name, or one test that reaches it says so in its docstring: `Also covers: <path>`."""
    tests = [path for path in TESTS if path.name.startswith("test_")]
    named = {subject_of(path) for path in tests}
    covers = {test: ALSO_COVERS.findall(ast.get_docstring(ast.parse(test.read_text("utf-8"))) or "") for test in tests}
    listed = Counter(path for paths in covers.values() for path in paths)
    sources = {name(path): module_of(path) for path in SOURCES if path.name != "__init__.py"}
    wrong = [f"{path} has no test of its name, and no test says that it covers it" for path in sources
             if path not in named and path not in listed]  # fmt: skip
    wrong += [f"{path} has a test of its name and needs no `Also covers`" for path in listed if path in named]
    wrong += [f"{path} is covered by more than one test" for path, times in listed.items() if times > 1]
    wrong += [f"{path}, which a test covers, is not there" for path in listed if path not in sources]
    for test, paths in covers.items():
        reached = set(modules_reached(test)) if paths else set()
        wrong += [f"{name(test)} does not reach {path}" for path in paths
                  if path in sources and sources[path] not in reached]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def modules_reached(test: Path) -> set[str]:
    """The modules that a test imports or starts as another process, and all that these use in turn."""
    found: set[str] = set()
    seen: set[Path] = set()
    waiting = [test, *(folder / "conftest.py" for folder in test.parents if folder.is_relative_to(ROOT / "tests"))]
    while waiting:
        path = waiting.pop()
        if path not in seen and path.exists():
            seen.add(path)
            modules, helpers = uses(path)
            found |= modules
            waiting += [*helpers, *(MODULES[module] for module in modules)]
    return found


@cache
def uses(path: Path) -> tuple[set[str], list[Path]]:
    """The modules that a file imports or names in a text, and the helpers of tests that it imports."""
    texts = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
    named = {word for text in texts if isinstance(text, str) for word in MODULE_NAME.findall(text)}
    helpers = [module for module, _ in imported(path) if module.startswith("tests.")]
    return {*modules_imported(path), *named & set(MODULES)}, [
        ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in helpers
    ]


@pytest.mark.parametrize(
    "module",
    ["flows.cli.main", "flows.recipe.recipe", "flows.graph.variants", "flows.graph.plan", "data_lake.store.lake"],
)
def test_what_help_and_plan_import_is_light(module: str) -> None:
    """`textmill --help` answers within a second and `textmill plan` within two; torch alone takes longer."""
    code = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"{module} imports these at once; import them where they are used."
