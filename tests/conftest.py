"""What every test stands on: a home of its own, no telemetry, no colours, and where the shared test data lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
# One `textmill up` and one home with migrated databases serve all of these.
SHARING_SERVERS = {
    "tests/flows/run/test_deployments.py",
    "tests/flows/servers/test_mlflow_moves.py",
    "tests/flows/servers/test_proxies.py",
    "tests/flows/servers/test_reconcile.py",
    "tests/flows/run/test_runner.py",
    "tests/flows/run/test_verdicts.py",
    "tests/flows/servers/test_connect.py",
}
SHARED = ROOT.parent / "shared" / "data"

# `make test` tries the same examples each time, so that only a change can make it fail; `make test-all` tries others
# each time (`--hypothesis-profile=search`). No deadline: a busy machine is no fault.
settings.register_profile(
    "fixed", derandomize=True, max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("fixed")

# Before any test imports a library that reads them.
os.environ.update(
    DO_NOT_TRACK="true",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_TO_API_ENABLED="false",
    GIT_PYTHON_REFRESH="quiet",
)
for variable in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "FORCE_COLOR"):
    os.environ.pop(variable, None)


@pytest.fixture(scope="module", autouse=True)
def _own_environment() -> Iterator[None]:
    """A module that connects to servers sets their addresses for its process; the next module must not find them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A textmill home that nothing else uses; a test never touches the user's own."""
    path = tmp_path / "home"
    monkeypatch.setenv("TEXTMILL_HOME", str(path))
    monkeypatch.setenv("NO_COLOR", "1")
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads that wait for each other make a small model a hundred times slower on a busy machine."""
    from model.hardware import torch_threads

    with torch_threads(1):
        yield


@pytest.fixture
def shared_data() -> Path:
    """The folder of real test data beside the checkout. Tests that use it carry the mark `shared`."""
    if not SHARED.is_dir():
        pytest.skip(f"The shared test data is not at {SHARED}.")
    return SHARED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay in one process, and so do all that need the same servers; inputs of a fuzz test need not."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file == "tests/test_fuzz.py":
                return nodeid
            return "servers" if file in SHARING_SERVERS else file

    return Scheduler(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter of bytes by its place, unless it is a short text: what gzip packs has the time in it."""
    return (
        argname
        if isinstance(val, bytes) and not (len(val) < 60 and val.isascii() and val.decode().isprintable())
        else None
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, saying so, what this machine cannot run."""
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"The shared test data is not at {SHARED}."))
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="There is no CUDA device here."))


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))
