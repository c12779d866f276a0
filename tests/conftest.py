"""What every test stands on: a home of its own, no telemetry, no colours, and where the shared test data lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"

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
def shared_data() -> Path:
    """The folder of real test data beside the checkout. Tests that use it carry the mark `shared`."""
    if not SHARED.is_dir():
        pytest.skip(f"The shared test data is not at {SHARED}.")
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, saying so, what this machine cannot run."""
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"The shared test data is not at {SHARED}."))
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="There is no CUDA device here."))


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))
