"""A user's own Python file that says what answers are worth: run in a process of its own, each call with limits.

The file defines `reward(prompt: str, answer: str, expected: str) -> float`. It is trusted, as it is named in the
recipe; the limits are for the answers, which it may execute: each call is a forked process with its own limits of CPU
seconds and memory, and one that exceeds them, fails or returns no finite number is worth 0 and counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.stage import PermanentError
from tasks.training.reinforcement.config import Rewards

_DRIVER = r"""
import json, math, os, resource, runpy, select, signal, sys
path, seconds, megabytes = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
calls = json.load(sys.stdin)
said = os.dup(1)
os.dup2(2, 1)  # what the file prints is no result
function = runpy.run_path(path).get("reward")
if not callable(function):
    sys.exit(f"it defines no function reward(prompt, answer, expected)")
def called(call):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setpgid(0, 0)
            whole = max(1, math.ceil(seconds))
            resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
            resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
            signal.setitimer(signal.ITIMER_PROF, seconds)
            os.write(writing, repr(float(function(*call))).encode())
        except BaseException as error:
            os.write(writing, ("! " + type(error).__name__).encode())
        finally:
            os._exit(0)
    os.close(writing)
    ready = select.select([reading], [], [], 20 * seconds + 5)[0]  # of waiting, which costs no CPU
    text = os.read(reading, 4096).decode() if ready else ""
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    return text
os.write(said, json.dumps([called(call) for call in calls]).encode())
"""


def run_tests(settings: Rewards, calls: Sequence[tuple[str, str, str]]) -> tuple[list[float], int]:
    """Return what the file says of each (prompt, answer, expected), and how many calls ended without a number.

    Raises PermanentError if the file itself cannot be run.
    """
    assert settings.tests_file is not None
    path = Path(settings.tests_file).expanduser().resolve()
    command = [sys.executable, "-c", _DRIVER, str(path), str(settings.tests_seconds), str(settings.tests_megabytes)]
    done = subprocess.run(command, input=json.dumps(list(calls)), capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise PermanentError(f"{path} (rewards.tests_file) cannot be used: {last[0]}. Repair the file.")
    values = [_number(text) for text in json.loads(done.stdout)]
    return [value or 0.0 for value in values], sum(value is None for value in values)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
