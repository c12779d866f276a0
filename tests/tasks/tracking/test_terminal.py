"""The door to the terminal: texts of others are shown as they are, do nothing there, and have no other way out."""

from __future__ import annotations

import ast
import io
import json
import sys
from pathlib import Path

import pytest

from flows.cli.console import json_text, table
from flows.run.report import as_markdown
from tasks.tracking.terminal import console, log, progress_bar, visible, write

ROOT = Path(__file__).resolve().parents[3]
NASTY = "[/?](tag|page)=[a-z] [bold]b[/bold] [/red] :smile: \x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp"
SHOWN = "[/?](tag|page)=[a-z] [bold]b[/bold] [/red] :smile: ·[31mred·]0;title· ·2J ·gnp"


def test_texts_in_tables_are_what_they_are() -> None:
    rows = table(NASTY, (NASTY, "number"), ("number",))
    rows.caption = NASTY
    rows.add_row(NASTY, "1")
    screen = console(width=1000)
    with screen.capture() as caught:
        screen.print(rows)
        screen.print(NASTY)
        screen.rule(NASTY)
    assert caught.get().count(SHOWN) == 6, "title, head, cell, caption, line, rule"
    assert "\x1b" not in caught.get()


def test_a_progress_bar_shows_notes_as_they_are() -> None:
    with progress_bar() as bar:
        bar.console.file = io.StringIO()
        bar.add_task(NASTY, amount=NASTY, note="[/nope]")
        bar.refresh()


def test_lines_for_people_do_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    log(NASTY)
    assert capsys.readouterr().err == SHOWN + "\n"
    assert visible("a\r\nb\tc\rd ü 👩\u200d🔬") == "a\nb\tc·d ü 👩\u200d🔬"


def test_data_is_exact_in_a_pipe_and_harmless_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, expected in ((io.StringIO(), NASTY), (Terminal(), SHOWN)):
        monkeypatch.setattr(sys, "stdout", stream)
        write(NASTY)
        assert stream.getvalue() == expected


def test_json_holds_no_control_character_and_says_the_same() -> None:
    text = json_text({NASTY: NASTY})
    assert json.loads(text) == {NASTY: NASTY}
    assert visible(text) == text


def test_a_reason_in_markdown_is_its_text() -> None:
    assert as_markdown("a|b\n# [x](javascript:1) <b> `c` *d*") == (r"a\|b \# \[x\]\(javascript:1\) \<b\> \`c\` \*d\*")


# Who may print: the door itself, what speaks of nothing but its own numbers, and a process that speaks to another one.
PRINTS = {
    "model/gguf/child.py",
    "tasks/tracking/terminal.py",
    "flows/cli/main.py",
    "flows/run/deployments.py",
    "flows/graph/reference.py",
    "tasks/corpus/clean/html/train.py",
}
RICH = {
    "tasks/tracking/terminal.py": {"rich.console", "rich.progress", "rich.text"},
    "flows/cli/console.py": {"rich", "rich.text", "rich.table"},
}


@pytest.mark.parametrize("floor", ["flows", "tasks", "model", "data_lake"])
def test_there_is_no_other_way_to_the_terminal(floor: str) -> None:
    wrong = []
    for path in (ROOT / floor).rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        typing_only = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom | ast.Import) and node not in typing_only:
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                foreign = {m for m in modules if m.split(".")[0] == "rich"} - RICH.get(name, set())
                wrong += [f"{name}:{node.lineno} imports {module}" for module in foreign]
            if isinstance(node, ast.Call) and name not in PRINTS:
                called = ast.unparse(node.func)
                if called in {"print", "sys.stdout.write", "sys.stderr.write", "typer.echo", "typer.secho"}:
                    wrong.append(f"{name}:{node.lineno} calls {called}")
    assert not wrong, f"Use tasks.tracking.terminal (log, write, console) instead: {wrong}"
