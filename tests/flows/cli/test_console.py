"""What the terminal shows: JSON for programs, and our own name as the user types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flows.cli.console import print_json, program


def test_json_never_holds_what_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": Path("a"), "text": "ü"})
    assert json.loads(capsys.readouterr().out) == {"path": "a", "text": "ü"}
    with pytest.raises(ValueError, match="JSON"):
        print_json(float("nan"))


def test_our_own_name_is_what_the_user_can_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / ".venv" / "bin" / "textmill"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert program() == ".venv/bin/textmill"
    monkeypatch.setenv("PATH", str(script.parent))
    assert program() == "textmill"
    monkeypatch.setattr(sys, "argv", ["/x/python/cli.py"])
    assert program() == "textmill"
