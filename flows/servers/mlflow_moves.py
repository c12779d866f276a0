"""A home that was copied or moved: MLflow stores absolute paths in its database, which are updated here."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from data_lake.store.home import Home

# The columns that hold the path of files, in any of MLflow's tables (MLflow 3.17 has five such columns).
_PLACES = ("artifact_location", "artifact_uri", "storage_location", "source")


def follow_home(home: Home) -> int:
    """Replace the folder that the home was copied or moved from by the present one, everywhere in MLflow's database.

    Otherwise a copy would write its figures into the original, and a moved home would create the old folder again.
    Returns how many paths were rewritten. Paths outside of any home, which a user has chosen, are kept.
    """
    new = home.mlartifacts.as_uri()
    changed = 0
    with contextlib.closing(sqlite3.connect(home.mlflow_db, timeout=60)) as database, database:
        former = sorted({old for old in _homes(database) if old != new})
        for old in former:
            changed += sum(_replace(database, table, column, old, new) for table, column in _columns(database))
    for old in former:
        _rewrite_models(home.mlartifacts, old, new)
    return changed


def _homes(database: sqlite3.Connection) -> Iterator[str]:
    """The folders in which the database believes to be: what precedes the names of textmill's experiments."""
    for name, place in database.execute("SELECT name, artifact_location FROM experiments"):
        suffix = "/0" if name == "Default" else f"/{name}"
        if (name == "Default" or name.split("/")[0] == "textmill") and str(place).endswith(f"/mlartifacts{suffix}"):
            yield str(place).removesuffix(suffix)


def _columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (table, column[1])
        for table in tables
        for column in database.execute(f'PRAGMA table_info("{table}")')
        if column[1] in _PLACES
    ]


def _replace(database: sqlite3.Connection, table: str, column: str, old: str, new: str) -> int:
    return database.execute(
        f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) WHERE substr("{column}", 1, ?) = ?',
        (new, len(old) + 1, len(old) + 1, f"{old}/"),
    ).rowcount


def _rewrite_models(folder: Path, old: str, new: str) -> None:
    """The description of a registered model contains its own path, too."""
    for described in folder.glob("**/models/*/artifacts/MLmodel"):
        text = described.read_text("utf-8")
        if f"{old}/" in text:
            described.write_text(text.replace(f"{old}/", f"{new}/"), "utf-8")
