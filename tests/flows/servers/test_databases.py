"""flows/servers/databases.py: what is wrong with a database is a sentence that says which file to move away."""

import sqlite3
from pathlib import Path

import pytest

from data_lake.store.home import Home
from flows.servers.connect import connect
from flows.servers.databases import check_tracking_uri, database_problem
from flows.servers.state import ServerError


def database(path: Path) -> bytes:
    """A database of some pages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (x TEXT)")
        made.executemany("INSERT INTO t VALUES (?)", [("word " * 100,)] * 200)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["prefect/prefect.db", "mlflow.db"])
def test_a_damaged_database_is_named_with_the_way_out(home: Path, name: str) -> None:
    path = home / name
    whole = database(path)
    assert database_problem(Home(home)) is None
    for damaged in (
        b"this is no database" * 100,
        whole[:4096] + b"\xff" * 3000 + whole[7096:],
        whole[: len(whole) // 2],
    ):
        path.write_bytes(damaged)
        problem = database_problem(Home(home))
        assert problem is not None
        assert f"database {path} is damaged" in problem
        assert "Move it away" in problem


def test_a_home_with_odd_letters_has_no_problem(tmp_path: Path) -> None:
    home = Home(tmp_path / "a b?c#d%41é")
    database(home.mlflow_db)
    assert database_problem(home) is None


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns", "/tmp/mlruns", "./mlruns"])
def test_a_folder_for_mlflow_is_refused_at_once(home: Path, uri: str) -> None:
    with pytest.raises(ServerError, match=r"MLflow no longer keeps runs in folders: name a server"):
        connect(Home(home).ensure(), {"MLFLOW_TRACKING_URI": uri, "PREFECT_API_URL": "http://127.0.0.1:9/api"})


def test_addresses() -> None:
    for good in ("http://10.0.0.1:5000", "sqlite:////a/b.db", "postgresql+psycopg2://u@h/db", "databricks", "", None):
        check_tracking_uri(good if good != "databricks" else "databricks://profile")
    with pytest.raises(ServerError, match="is no address"):
        check_tracking_uri("htp://10.0.0.1:5000")
