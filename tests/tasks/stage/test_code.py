"""The code of a stage: what Python itself says is imported is in the key, but for what says why it shapes nothing."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.ast_hashes import AstHashes
from flows.graph.stages import STAGES
from tasks.stage.code import FOLLOWED, Code, code_of
from tasks.stage.errors import PermanentError

ROOT = Path(__file__).resolve().parents[3]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for floor in FOLLOWED
    for path in (ROOT / floor).rglob("*.py")
}
# The modules that import others by a name that no import statement holds: validators of a library.
DYNAMIC = {"tasks.corpus.clean.pii"}

# Imports the modules of all stages and writes down who imports whom: at import what Python asks for, and in functions
# what their compiled code would ask for. So it knows nothing of syntax trees, and a module's reason is the one that it
# has when it runs.
WATCH = """
import builtins, dis, importlib, importlib.util, json, sys, types

FLOORS = ("tasks", "model", "data_lake")
GATHERING = {"RESUME", "LOAD_CONST", "IMPORT_NAME", "IMPORT_FROM", "STORE_NAME", "POP_TOP", "RETURN_VALUE",
             "RETURN_CONST", "BUILD_LIST", "LIST_EXTEND", "NOP"}
asked = {}
ask = builtins.__import__

def watched(name, globals=None, locals=None, fromlist=(), level=0):
    asked.setdefault((globals or {}).get("__name__"), []).append((name, tuple(fromlist or ()), level))
    return ask(name, globals, locals, fromlist, level)

def exists(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False

def code_of(name):
    return sys.modules[name].__spec__.loader.get_code(name)

def functions(code):
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from functions(constant)

def asked_later(code):
    before = []
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            yield step.argval, before[-1] or (), before[-2]
        before.append(step.argval)

def targets(package, name, wanted, level):
    if level:
        name = importlib.util.resolve_name("." * level + name, package)
    if name.partition(".")[0] in FLOORS:
        for each in wanted or [""]:
            found = f"{name}.{each}" if each and exists(f"{name}.{each}") else name
            yield found
            while found := found.rpartition(".")[0]:
                if any(step.opname not in GATHERING for step in dis.get_instructions(code_of(found))):
                    yield found

builtins.__import__ = watched
todo, modules = sys.argv[1:], {}
while todo:
    name = todo.pop()
    if name not in modules:
        module, code = importlib.import_module(name), code_of(name)
        later = [each for function in functions(code) for each in asked_later(function)]
        uses = {found for each in [*asked.get(name, ()), *later] for found in targets(module.__package__, *each)}
        every = [code, *functions(code)]
        modules[name] = {
            "reason": getattr(module, "SHAPES_NO_RESULT", None),
            "uses": sorted(uses),
            "texts": sorted({each for one in every for each in one.co_consts if isinstance(each, str)}),
            "finds_others": any("import_module" in one.co_names for one in every),
        }
        todo += uses if modules[name]["reason"] is None else ()
json.dump(modules, sys.stdout)
"""


@pytest.fixture(scope="module")
def modules() -> dict[str, Any]:
    starts = [stage.function.__module__ for stage in STAGES.values()]
    done = subprocess.run([sys.executable, "-c", WATCH, *starts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_of_a_stage_is_all_that_it_imports(modules: dict[str, Any], stage: str) -> None:
    reached: set[str] = set()
    todo = [STAGES[stage].function.__module__]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += modules[name]["uses"] if modules[name]["reason"] is None else ()
    assert set(STAGES[stage].code.modules) == {name for name in reached if modules[name]["reason"] is None}


def test_each_exception_says_why_and_is_one(modules: dict[str, Any]) -> None:
    saying = {
        name for name, path in FILES.items() if re.search(r"^SHAPES_NO_RESULT\b", path.read_text("utf-8"), re.MULTILINE)
    }
    reasons = {name: module["reason"] for name, module in modules.items() if module["reason"] is not None}
    assert saying == reasons.keys(), "a module says that it shapes no result, and no stage imports it"
    assert [name for name, reason in reasons.items() if not (isinstance(reason, str) and " " in reason)] == []


def test_no_module_is_found_by_a_text(modules: dict[str, Any]) -> None:
    """What following imports cannot see: modules that are imported, or started as a program, by their name."""
    assert {name for name, module in modules.items() if module["finds_others"]} <= DYNAMIC
    for stage in STAGES:
        code = STAGES[stage].code.modules
        named = {text for name in code for text in modules[name]["texts"] if "." in text} & FILES.keys()
        assert named <= code.keys(), f"{stage} names modules that are not in its code"


# -- a project of its own ----------------------------------------------------------------------------------------------


Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of a project that lies in a folder of its user and in no other place."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    yield put  # type: ignore[misc]
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


STAGE = """
    from tasks.stage import Artifact, Output, StageConfig, stage

    class MineConfig(StageConfig):
        '''Nothing to set.'''

    @stage(makes=Artifact, version=1)
    def mine(config: MineConfig, out: Output) -> None:
        '''Make something.'''
"""


def code(module: str) -> Code:
    return __import__(module, fromlist=["mine"]).mine.code


def test_a_stage_in_the_users_folder_has_its_own_modules_and_ours(write: Write) -> None:
    write("mill/__init__.py", "'''A package that gathers.'''\nfrom mill.far import nothing\n")
    write("mill/words.py", STAGE + "        from . import counting\n        from .deep.inner import x\n")
    write("mill/counting.py", "import helper\nimport numpy\nfrom tasks.synthetic.cloze import cut_lines\n")
    write("mill/deep/__init__.py", "import os\nos.environ.setdefault('A', 'b')\n")  # it does something
    write("mill/deep/inner.py", "from ..other import *\nfrom typing import TYPE_CHECKING\nx = 1\n")
    write("mill/other.py", "if True:\n    import spare.part\nelse:\n    import colorsys\n")
    write("mill/far.py", "nothing = 0\n")
    write("spare/part.py", "import emoji, regex\n")  # a namespace package
    write("helper.py", "import typing\nif typing.TYPE_CHECKING:\n    import mill.far\n    import ftfy\nx = 3\n")
    found = code("mill.words")
    own = {"mill.words", "mill.counting", "mill.deep", "mill.deep.inner", "mill.other", "spare.part", "helper"}
    assert own | {"tasks.synthetic.cloze"} <= found.modules.keys()
    assert all(name.startswith(("tasks.", "data_lake.")) for name in found.modules.keys() - own)
    assert "mill.far" not in found.modules
    assert {"numpy", "emoji", "regex"} <= found.imports
    assert not {"mill", "spare", "helper", "ftfy", "tasks"} & found.imports


def test_a_package_is_found_behind_a_link_and_in_two_folders(write: Write, tmp_path: Path, monkeypatch: Any) -> None:
    write(
        "versions/2/first.py",
        STAGE + "        from linked import second\n        import split.here\n        import split.there\n",
    )
    write("versions/2/second.py", "x = 1\n")
    (tmp_path / "linked").symlink_to(tmp_path / "versions" / "2")
    write("split/here.py", "x = 1\n")
    write("elsewhere/split/there.py", "x = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert code("linked.first").modules.keys() == {"linked.first", "linked.second", "split.here", "split.there"}


def test_what_changes_code_changes_the_key_and_nothing_else_does(write: Write) -> None:
    write("lone.py", STAGE + "        import lone_helper\n")
    write("lone_helper.py", "import lone_figures\ndef f():\n    return 1\n")
    write("lone_figures.py", "SHAPES_NO_RESULT = 'draws what was made'\nimport lone_colours\n")
    write("lone_colours.py", "RED = 1\n")
    before = code("lone")
    assert before.modules.keys() == {"lone", "lone_helper"}
    write("lone_helper.py", "# why\nimport lone_figures\n\n\ndef f():\n    '''Why.'''\n    return (1)  # one\n")
    write("lone_figures.py", "SHAPES_NO_RESULT = 'draws what was made, in red'\nimport lone_colours, regex\n")
    write("lone_colours.py", "RED = 2\n")
    assert code("lone") == before
    write("lone_helper.py", "import lone_figures\ndef f():\n    return 2\n")
    changed = code("lone")
    assert changed.modules["lone"] == before.modules["lone"]
    assert changed.modules["lone_helper"] != before.modules["lone_helper"]
    write("lone_figures.py", "import lone_colours\n")  # it takes back what it said
    assert code("lone").modules.keys() == {"lone", "lone_helper", "lone_figures", "lone_colours"}


def test_a_stage_shapes_its_own_result_whatever_it_says(write: Write) -> None:
    write("mine_only.py", "SHAPES_NO_RESULT = 'it is so small'\n" + textwrap.dedent(STAGE))
    assert code("mine_only").modules.keys() == {"mine_only"}


def test_code_that_cannot_be_read_is_a_sentence(write: Write) -> None:
    write("broken_stage.py", STAGE + "        import broken_helper\n")
    path = write("broken_helper.py", "x = 1\ny = = 2\n")
    with pytest.raises(PermanentError, match=r"stage mine cannot be read: .*broken_helper\.py, line 2: invalid syntax"):
        code("broken_stage")
    path.write_bytes("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"))
    assert "broken_helper" in code("broken_stage").modules


def test_a_stage_without_a_file_is_refused() -> None:
    names: dict[str, Any] = {"__name__": "nowhere"}
    exec(textwrap.dedent(STAGE).replace("'''", '"'), names)
    with pytest.raises(PermanentError, match="mine is not defined in a Python file"):
        _ = names["mine"].code


def test_a_script_is_named_like_the_module_that_it_is(write: Write, tmp_path: Path) -> None:
    """So a stage has one key, be it run as a script or imported."""
    path = write("alone.py", STAGE + "\n    if __name__ == '__main__':\n        print(*mine.code.modules)\n")
    for command in (["alone.py"], ["-m", "alone"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=path.parent, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
        )
        assert done.stdout.split() == ["alone"], done.stderr


def test_our_own_code_is_followed_in_whatever_folder_it_lies(tmp_path: Path) -> None:
    """A change in a module far down is a change of the stages that use it, and of no other."""
    copy = tmp_path / "textmill"
    for floor in (*FOLLOWED, "flows"):
        shutil.copytree(ROOT / floor, copy / floor, ignore=shutil.ignore_patterns("__pycache__"))
    script = """if True:
        import json, pathlib
        from flows.graph.stages import STAGES
        def codes():
            return {name: dict(stage.code.modules) for name, stage in STAGES.items()}
        found = [codes()]
        for name in ("tasks/corpus/charsets/labels.py", "model/optim.py",
                     "tasks/stage/figures.py", "data_lake/store/locks.py"):
            with pathlib.Path(name).open("a") as file:
                file.write("\\n# a comment\\n")
            assert codes() == found[-1]
            with pathlib.Path(name).open("a") as file:
                file.write("ADDED = 1\\n")
            found.append(codes())
        print(json.dumps(found))
    """
    env = {"PYTHONPATH": str(copy), "TEXTMILL_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", script], cwd=copy, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    states = json.loads(done.stdout)
    changed = [
        {(stage, module) for stage in STAGES for module, sha in new[stage].items() if old[stage].get(module) != sha}
        for old, new in itertools.pairwise(states)
    ]
    reading = ["crawl", "clean", "decontaminate", "benchmarks", "pairs", "classify", "sft", "evaluate", "judge"]
    reading += ["preferences", "reward", "reference", "dpo", "grpo", "ppo"]
    assert changed[0] == {(stage, "tasks.corpus.charsets.labels") for stage in reading}
    trained = ("pretrain", "classify", "sft", "reward", "dpo", "grpo", "ppo", "distil", "seq2seq")
    assert changed[1] == {(stage, "model.optim") for stage in trained}
    assert changed[2:] == [set(), set()]


def test_what_a_home_remembers_is_not_parsed_again(write: Write, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "run").mkdir(parents=True)
    write("kept.py", STAGE)
    found = code("kept")
    stored = json.loads((home / "run" / "code.json").read_text())["hashes"]
    assert found.modules["kept"] in "".join(stored.values())
    again = AstHashes(home / "run" / "code.json")
    monkeypatch.setattr(again, "save", lambda: pytest.fail("nothing is new"))
    assert code_of(sys.modules["kept"].mine.function) == found
