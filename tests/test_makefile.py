"""`make` on a machine that lacks something: one sentence that says what to do, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what `make` reads, so that no test can touch the real environment."""
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=checkout, capture_output=True, text=True, env=environment, timeout=60
    )


def python_where(checkout: Path, change: str) -> str:
    """A Python in which `change` has happened before it runs what `python -c` gives it."""
    code = f"import sys; {change}; code = sys.argv[2]; sys.argv = ['-c', *sys.argv[3:]]; exec(code)"
    path = checkout / "python3.x"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("sys.version_info = (3, 9, 2)", ["needs Python 3.11 or newer", "is Python 3.9", "PYTHON="]),
        ("sys.modules['ensurepip'] = None", ["venv module", "apt install python3."]),
        (
            "import shutil, types; shutil.disk_usage = lambda path: types.SimpleNamespace(free=1e9)",
            ["needs 4 GB of free disk space", "has 1.0 GB"],
        ),
    ],
)
def test_what_the_machine_lacks_is_said_in_a_sentence(checkout: Path, change: str, words: list[str]) -> None:
    done = make(checkout, "install", f"PYTHON={python_where(checkout, change)}")
    assert done.returncode != 0
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there(checkout: Path) -> None:
    done = make(checkout, "install", "PYTHON=python3.99")
    assert done.returncode != 0
    assert "python3.99 is not installed" in done.stderr


def test_make_alone_says_what_there_is(checkout: Path) -> None:
    said = make(checkout).stdout
    assert all(
        f"make {target}" in said for target in ("demo", "test", "bench-data", "bench-eval", "bench-serve", "docs")
    )


def test_an_installation_is_taken_up_until_its_stamp_is_there(checkout: Path) -> None:
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / ".home").write_text(f"{checkout}\n")
    (venv / ".torch-build").write_text("cpu\n")
    assert "Installing" in make(checkout, "-n", "install").stdout
    (venv / ".installed-cpu").touch()
    assert "Nothing to be done" in make(checkout, "install").stdout
    assert "Installing" in make(checkout, "-n", "install", "TORCH=cuda").stdout


def test_an_environment_that_was_moved_is_made_anew(checkout: Path) -> None:
    venv = checkout / ".venv"
    venv.mkdir()
    (venv / ".home").write_text("/somewhere/else\n")
    (venv / ".installed-cpu").touch()
    assert "Installing" in make(checkout, "-n", "install").stdout
    assert not venv.exists()


def test_constraints_are_pins_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(line.count("==") == 1 and "+" not in line and " " not in line for line in lines)
    assert lines == sorted(lines, key=str.lower)
