"""A home whose databases exist already, and a living `textmill up` for all tests that do not stop it."""

from collections.abc import Iterator

import pytest

from data_lake.store.home import Home
from flows.servers.connect import connect
from tests.live_up import Up, copy_of, eventually, stopped


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which a Prefect server has run once, and with an MLflow database: 8 s that one test run pays once."""
    home = Home(tmp_path_factory.mktemp("initialised")).ensure()
    connection = connect(home, {})
    try:
        connection.wait()
    finally:
        connection.close()
    eventually(lambda: stopped(home), 30, "the first server has ended")
    return home


@pytest.fixture(scope="session")
def up(initialised: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `up` for all tests that do not stop it."""
    running = Up.start(copy_of(initialised, tmp_path_factory.mktemp("up")))
    yield running
    running.stop()
