"""The environment in which Prefect and MLflow are run: no reports to anybody, and the settings of a home's servers."""

from data_lake.store.home import Home, sqlite_url


def privacy() -> dict[str, str]:
    """Variables that switch off the telemetry of both products.

    MLflow obeys DO_NOT_TRACK only if it is exactly "true".
    """
    return {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def prefect_environment(home: Home, url: str, *, embedded: bool) -> dict[str, str]:
    """Settings of a Prefect server. Prefect reads them when it is imported."""
    settings = privacy() | {
        "PREFECT_HOME": str(home.prefect),
        # Relative; otherwise the pages of a server on any port but 4200 would call 127.0.0.1:4200.
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url,
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # In memory (the default), the slots that a run held would stay taken for ever after a restart of the server.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # How long a task that waits for the GPU sleeps between two tries; 30 s would leave the GPU idle.
        "PREFECT_SERVER_TASKS_TAG_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
    }
    database = sqlite_url(home.prefect / "prefect.db", "sqlite+aiosqlite")
    if "uri=true" in database:  # otherwise Prefect's own default is right
        settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
    if embedded:
        # Nobody would execute scheduled runs: they would pile up as late, and with 40 of them SQLite reports "database
        # is locked" (159 errors in 85 s).
        for service in ("SCHEDULER", "LATE_RUNS", "FOREMAN"):
            settings[f"PREFECT_SERVER_SERVICES_{service}_ENABLED"] = "false"
        # Only the pages of `up` need the catalogue of block types; writing it takes 2 s of a first run.
        settings["PREFECT_API_BLOCKS_REGISTER_ON_START"] = "false"
    return settings


def mlflow_environment(home: Home, host: str, port: int) -> dict[str, str]:
    """Settings of an MLflow server on the home's database, as its command line would make them."""
    names = [f"{name}:{port}" for name in {host, "127.0.0.1", "localhost"}]
    return privacy() | {
        "_MLFLOW_SERVER_FILE_STORE": home.mlflow_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": home.mlartifacts.as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": home.mlartifacts.as_uri(),
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in names),
    }
