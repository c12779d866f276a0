"""What MLflow has of a home, for the tests of what is sent to it."""

from __future__ import annotations

from typing import Any

from mlflow import MlflowClient

from data_lake.store.home import Home
from tasks.tracking.watch import Tracker, TrackingWatch


def client(home: Home) -> MlflowClient:
    return MlflowClient(tracking_uri=home.mlflow_uri, registry_uri=home.mlflow_uri)


def only_run(home: Home, experiment: str) -> Any:
    found = client(home).get_experiment_by_name(experiment)
    assert found is not None
    (run,) = client(home).search_runs([found.experiment_id])
    return run


class Logger:
    def info(self, text: str) -> None: ...
    def log(self, level: int, text: str) -> None: ...


def watch(tracker: Tracker) -> TrackingWatch:
    return TrackingWatch(tracker, logger=Logger(), terminal=False, prefect=False, tags={"prefect.flow_run_id": "f"})  # type: ignore[arg-type]
