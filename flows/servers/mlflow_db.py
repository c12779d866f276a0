"""Creates MLflow's database, or upgrades it to the installed MLflow: once, by one process, completely or not at all."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from data_lake.store.home import Home, sqlite_url
from data_lake.store.locks import locked
from flows.servers.environment import privacy
from flows.servers.mlflow_moves import follow_home
from flows.servers.state import ServerError, read_state, write_state

# Not `python -m mlflow db upgrade`, which imports all of MLflow's command line: 4 s instead of 2 s.
_UPGRADE = "import sys, mlflow.db; mlflow.db.upgrade.callback(sys.argv[1])"


def init_mlflow(home: Home) -> None:
    """Make the home's MLflow database usable; do nothing (1 ms) if that was done before.

    One process at a time: four processes that race to create it leave a database that MLflow cannot open again. Raises
    ServerError, a sentence, if MLflow cannot do it.
    """
    done = home.run / "mlflow-db.json"
    wanted = {"mlflow": version("mlflow-skinny"), "home": str(home.root)}
    with locked(home.run / "mlflow-db.lock"):
        exists = home.mlflow_db.exists()
        if exists and read_state(done) == wanted:
            return
        for draft in home.root.glob("mlflow.db.draft-*"):
            draft.unlink(missing_ok=True)
        # A new database appears only once it is complete: MLflow cannot use one whose creation was interrupted.
        database = home.mlflow_db if exists else home.mlflow_db.with_name(f"mlflow.db.draft-{os.getpid()}")
        problem = _upgrade(database)
        if problem is not None:
            raise ServerError(
                f"MLflow's database {home.mlflow_db} cannot be upgraded to MLflow {wanted['mlflow']} ({problem}). "
                "Move the file away: the next run creates a new one; no artifact in the lake depends on it."
            )
        if not exists:
            database.replace(home.mlflow_db)
        follow_home(home)
        write_state(done, wanted)


def _upgrade(database: Path) -> str | None:
    """Run MLflow's migrations in their own process, out of reach of Ctrl-C; return what went wrong."""
    result = subprocess.run(
        [sys.executable, "-c", _UPGRADE, sqlite_url(database)],
        capture_output=True,
        text=True,
        env=os.environ | privacy(),
        check=False,
        start_new_session=True,
    )
    if result.returncode == 0:
        return None
    return (result.stderr.strip().splitlines() or ["nothing said"])[-1]
