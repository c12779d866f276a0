"""The MLflow sender, which turns journal entries into calls of MLflow's client; nothing else sends to MLflow."""

from __future__ import annotations

import functools
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_lake.store.home import Home
from tasks.tracking.mlflow_datasets import to_mlflow
from tasks.tracking.pyfunc_folder import is_loadable, write_pyfunc

MAX_METRICS, MAX_PARAMS, MAX_TAGS, MAX_VALUE = 1000, 100, 100, 5000
NOTE = "mlflow.note.content"  # the tag that MLflow's UI shows as the description of an experiment or a run
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


class Refused(Exception):
    """MLflow will never accept this entry (for example a parameter whose value changed); a retry cannot help."""


class Sender:
    """Sends to the tracking server that MLFLOW_TRACKING_URI names, or to the home's own database."""

    def __init__(self, home: Home, uri: str | None = None) -> None:
        self.home = home
        self.uri = uri or tracking_uri(home)

    @functools.cached_property
    def client(self) -> Any:
        """mlflow.MlflowClient, imported late: it takes more than a second."""
        # MLflow's own retries block a call for minutes when the server is unreachable; the journal retries instead.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        from mlflow import MlflowClient

        quiet()
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def start(self, entry: Mapping[str, Any], run_id: str | None) -> str:
        """Create the run, or continue the one that this journal, or an earlier one for the same key, belongs to."""
        if run_id and self._call(self.client.update_run, run_id, status="RUNNING", missing_ok=True) is not _MISSING:
            return run_id
        experiment = self._experiment(entry["experiment"], entry.get("about"))
        run = self._call(
            self.client.create_run,
            experiment,
            start_time=entry["t"],
            tags={name: str(value)[:MAX_VALUE] for name, value in entry["tags"].items()},
            run_name=entry["name"],
        )
        return str(run.info.run_id)

    def metrics(self, run_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Send metric entries {values, step, t}."""
        from mlflow.entities import Metric

        rows = [Metric(k, v, e["t"], e["step"]) for e in entries for k, v in e["values"].items()]
        for start in range(0, len(rows), MAX_METRICS):
            self._call(self.client.log_batch, run_id, metrics=rows[start : start + MAX_METRICS])

    def params(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Send parameters; MLflow keeps the first value of each."""
        from mlflow.entities import Param

        rows = [Param(name, _text(value)) for name, value in values.items()]
        for start in range(0, len(rows), MAX_PARAMS):
            self._call(self.client.log_batch, run_id, params=rows[start : start + MAX_PARAMS])

    def tags(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Send tags; MLflow keeps the last value of each."""
        from mlflow.entities import RunTag

        rows = [RunTag(name, _text(value)) for name, value in values.items()]
        for start in range(0, len(rows), MAX_TAGS):
            self._call(self.client.log_batch, run_id, tags=rows[start : start + MAX_TAGS])

    def inputs(self, run_id: str, datasets: Sequence[Mapping[str, Any]]) -> None:
        """Send the run's inputs as datasets; MLflow keeps each once per run."""
        self._call(self.client.log_inputs, run_id, [to_mlflow(dataset) for dataset in datasets])

    def file(self, run_id: str, path: Path, to: str) -> None:
        """Upload a file as the run's artifact `to`."""
        if not path.exists():
            return
        folder, _, name = to.rpartition("/")
        wanted = path.with_name(name)
        if wanted != path:
            os.replace(path, wanted)
        try:
            self._call(self.client.log_artifact, run_id, str(wanted), folder or None)
        except Exception:
            os.replace(wanted, path)
            raise
        wanted.unlink(missing_ok=True)

    def model(self, run_id: str | None, entry: Mapping[str, Any], experiment: str = "") -> str:
        """Register the model of an artifact as a version of `entry["name"]`; return its number.

        One that writes texts is an MLflow model with its weights and code, which `mlflow.pyfunc.load_model` reads; of
        any other the files stay in the lake, and MLflow has a pointer to them. It belongs to the experiment of its run;
        where there is no run, to the one that is named.
        """
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        # Without an experiment it would go to the default one, with artifacts in ./mlruns of the first run's folder.
        run: Any = self._call(self.client.get_run, run_id, missing_ok=True) if run_id else _MISSING
        if run is _MISSING:
            run_id = None
        named = {
            "name": entry["name"],
            "source_run_id": run_id,
            "experiment_id": self._experiment(experiment, None) if run_id is None else run.info.experiment_id,
            "params": {"artifact": entry["artifact"], "content": entry["content"]},
        }
        folder = self.home.lake / entry["artifact"]
        if is_loadable(folder):
            model = self._logged(folder, named)
        else:
            model = self._call(mlflow.create_external_model, **named)
        self._call(self.client.create_registered_model, entry["name"], exists_ok=True)
        # journals of an earlier textmill have no tags
        tags = {"artifact": entry["artifact"], **entry.get("tags", {})}
        made = self._call(
            self.client.create_model_version,
            entry["name"],
            source=f"models:/{model.model_id}",
            run_id=run_id,
            tags={name: str(value)[:MAX_VALUE] for name, value in tags.items()},
            model_id=model.model_id,
        )
        return str(made.version)

    def _logged(self, folder: Path, named: dict[str, Any]) -> Any:
        """Log the model of a folder, with all that is needed to load it."""
        model = self._call(self.client.create_logged_model, **named)
        with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=self.home.root) as place:
            write_pyfunc(folder, Path(place) / "model", model.model_id, named["params"])
            self._call(self.client.log_model_artifacts, model.model_id, str(Path(place) / "model"))
        return self._call(self.client.finalize_logged_model, model.model_id, "READY")

    def finish(self, run_id: str, status: str, end_time: int) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self._call(self.client.set_terminated, run_id, status, end_time)

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """Return the bytes of a run's artifact, or None if it has none of this name.

        If there is a server, it is asked first: only the server may be able to read the place where the file is stored.
        """
        client = self.client
        if self.uri.startswith(("http://", "https://")):
            from mlflow.utils.credentials import get_default_host_creds
            from mlflow.utils.rest_utils import http_request

            wanted = {"run_uuid": run_id, "path": path}
            answer = http_request(
                get_default_host_creds(self.uri), "/get-artifact", "GET", raise_on_status=False, params=wanted
            )
            if answer.status_code == 200:
                return bytes(answer.content)
        if path not in {found.path for found in client.list_artifacts(run_id, os.path.dirname(path) or None)}:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(client.download_artifacts(run_id, path, folder)).read_bytes()

    def _experiment(self, name: str, about: str | None) -> str:
        """Return the experiment's id; create it and set its tags if they do not exist yet."""
        tags = {**EXPERIMENT_TAGS, **({NOTE: about[:MAX_VALUE]} if about else {})}
        found = self._call(self.client.get_experiment_by_name, name)
        if found is None:
            # Our own database is used with and without a server: an absolute path works for both.
            place = (self.home.mlartifacts / name).as_uri() if self._ours() else None
            made = self._call(self.client.create_experiment, name, artifact_location=place, tags=tags, exists_ok=True)
            if made is not _MISSING:
                return str(made)
            found = self._call(self.client.get_experiment_by_name, name)
        for tag, value in tags.items():
            if not found.tags.get(tag):  # keep what a user wrote there
                self._call(self.client.set_experiment_tag, found.experiment_id, tag, value)
        return str(found.experiment_id)

    def _ours(self) -> bool:
        if self.uri.startswith("sqlite"):
            return True
        try:
            url = json.loads((self.home.run / "up.json").read_text())["mlflow_url"]
            return url is not None and url.rstrip("/") == self.uri.rstrip("/")  # None: `up` uses a server of others
        except (OSError, ValueError, KeyError):
            return False

    def _call(
        self, function: Any, *arguments: Any, missing_ok: bool = False, exists_ok: bool = False, **named: Any
    ) -> Any:
        """Call MLflow; raise Refused if it will never accept the call; any other error is worth a retry."""
        from mlflow.exceptions import MlflowException

        try:
            return function(*arguments, **named)
        except MlflowException as error:
            code = error.error_code
            if (missing_ok and code == "RESOURCE_DOES_NOT_EXIST") or (exists_ok and code == "RESOURCE_ALREADY_EXISTS"):
                return _MISSING
            if code in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST"}:
                raise Refused(str(error)) from error
            raise


_MISSING = object()


def tracking_uri(home: Home) -> str:
    """MLFLOW_TRACKING_URI if set, else the home's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or home.mlflow_uri


def quiet() -> None:
    """Keep MLflow's tips and tracebacks out of the terminal: the journal retries, and a run reports what is unsent.

    Call it after importing mlflow, which sets its log levels.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
