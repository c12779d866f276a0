"""Ctrl-C and SIGTERM at any moment, from the first on: an exit code and a sentence, never a traceback.

Also covers: flows/cli/signals.py
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# What the command does before a signal comes: nothing yet (its imports), or a long piece of work of a verb.
WORKING = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # nohup and shells start programs with some ignored
    signal.signal(number, signal.SIG_DFL)
from flows.cli import main, console
import flows.cli.lake as lake
def work():
    print("at work", flush=True)
    time.sleep(60)
lake.lake = work
sys.argv = ["textmill", "artifacts"]
main.main()
"""


def signalled(command: list[str], number: int) -> tuple[int, str]:
    """Start a command and send the signal once it says a line; (exit code, stderr)."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_it_imports(number: int, tmp_path: Path) -> None:
    slow = tmp_path / "flows_started.py"  # says when the entry has begun, then takes its time as an import would
    slow.write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    code = f"import signal, sys, flows.cli.entry; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += f"signal.signal({int(number)}, signal.SIG_DFL)\n"
    code += "import types; sys.modules['flows.cli.main'] = types.ModuleType('flows.cli.main')\n"
    code += (
        "sys.modules['flows.cli.main'].__getattr__ = lambda name: __import__('flows_started')\nflows.cli.entry.main()"
    )
    returned, said = signalled([sys.executable, "-c", code], number)
    assert (returned, said.strip()) == (128 + number, "Stopped before anything had begun.")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, "Stopped. What is finished is kept"),
        (signal.SIGTERM, "Ended by SIGTERM. What is finished is kept"),
        (signal.SIGHUP, "Ended by SIGHUP. What is finished is kept"),
    ],
)
def test_while_a_verb_works(number: int, words: str) -> None:
    returned, said = signalled([sys.executable, "-c", WORKING], number)
    assert returned == 128 + number
    assert words in said
    assert "Traceback" not in said


def test_what_is_ignored_stays_ignored() -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code += "from flows.cli.signals import raise_on_signals; raise_on_signals()\n"
    code += "import os; os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.stdout == "goes on\n"
