"""What is wrong with the databases of Prefect and MLflow, as a sentence that says what to do."""

import contextlib
import sqlite3
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from data_lake.store.home import Home
from flows.servers.state import ServerError

_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc")


def check_tracking_uri(uri: str | None) -> None:
    """Refuse an MLFLOW_TRACKING_URI that MLflow refuses, before a run starts; ServerError says why.

    A run whose tracking server is away continues and is sent later. With an address that MLflow never accepts, that
    promise could not be kept.
    """
    if not uri:
        return
    scheme = urlsplit(uri).scheme.partition("+")[0].lower()
    plugins = {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}
    if scheme in _SCHEMES or scheme in plugins - {"file", ""}:
        return
    what = "names a folder, and MLflow no longer keeps runs in folders" if scheme in ("", "file") else "is no address"
    raise ServerError(
        f"MLFLOW_TRACKING_URI={uri} {what}: name a server (http://…) or a database (sqlite:////folder/mlflow.db), or "
        "unset the variable to use textmill's own."
    )


def database_problem(home: Home) -> str | None:
    """A sentence about a damaged database of the home's own servers; None if both are intact or absent."""
    for name, path, lost in (
        ("Prefect", home.prefect / "prefect.db", "Prefect's history of runs and paused schedules"),
        ("MLflow", home.mlflow_db, "MLflow's runs and registered models"),
    ):
        if why := _damage(path):
            return (
                f"{name}'s database {path} is damaged ({why}). Move it away, with the files {path.name}-wal and -shm "
                f"next to it, and run the same command again: a new one is created. {lost} are lost with it; the "
                "artifacts in the lake are not touched."
            )
    return None


def _damage(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
        return None if answer == "ok" else str(answer)
    except sqlite3.OperationalError:  # locked, or a disk that is not responding: nothing is known about its content
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
