"""MLflow runs of stages and pipelines: one per built stage, one per pipeline, and the watch on a stage's build."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.reading.audit import lineage
from data_lake.store.files import write_whole
from data_lake.store.home import Home
from data_lake.store.lake import KEY_LENGTH, WORK, Artifact, Lake
from tasks.stage import Build, Stage
from tasks.stage.config import execution, flatten, identity
from tasks.stage.contract import Watch
from tasks.stage.output import Reporter
from tasks.tracking.journal import Drainer, Journal, numbers, run_id_of
from tasks.tracking.mlflow_client import Sender, tracking_uri
from tasks.tracking.mlflow_datasets import datasets_of
from tasks.tracking.progress import StageProgress
from tasks.tracking.system_metrics import SystemMetrics
from tasks.tracking.terminal import log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIPELINE_EXPERIMENT = "textmill"
PIPELINE_ABOUT = """One run for each run of the pipeline.

Its parameters are the recipe's fields, its metrics the counts and results of every stage, as `stage.name`, whether the
stage was built or found in the lake. The tags `textmill.run.<stage>` hold the ids of the runs that built the artifacts,
in the experiments `textmill/<stage>`."""
FLUSH_TIMEOUT_SECONDS = 20.0


def experiment_of(stage_name: str) -> str:
    """One experiment per stage, so that a chart compares runs of the same stage; nested runs would not allow that."""
    return f"{PIPELINE_EXPERIMENT}/{stage_name}"


def about_stage(stage: Stage) -> str:
    """The description of a stage's experiment: what its runs are, and what its function says about its metrics."""
    said = inspect.getdoc(stage.function) or ""
    return f"One run for each artifact that the stage `{stage.name}` built.\n\n{said}".rstrip()


class Tracker:
    """The connection of this process to MLflow: a spool on disk, and a thread that sends it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.uri = tracking_uri(home)
        self._drainer = Drainer(home.spool, Sender(home, self.uri))

    def start_run(
        self,
        experiment: str,
        name: str,
        tags: Mapping[str, Any],
        params: Mapping[str, Any],
        continues: str | None = None,
        about: str | None = None,
    ) -> TrackedRun:
        """Start a run, or continue the one that the journal `continues` belongs to; `about` describes the experiment
        if it has no description yet."""
        journal = Journal(self.home.spool)
        journal.write("start", experiment=experiment, about=about, name=name, tags=dict(tags), continues=continues)
        if params:
            journal.write("params", values=dict(params))
        return TrackedRun(journal)

    def close(self) -> str | None:
        """Send what is left; return a sentence if some entries have to wait for the server."""
        if self._drainer.close(FLUSH_TIMEOUT_SECONDS):
            return None
        return (
            f"MLflow at {self.uri} has not accepted everything yet ({self._drainer.problem or 'it is slow'}). "
            f"Nothing is lost: it is in {self.home.spool}, and the next textmill run or textmill up will send it."
        )


class TrackedRun:
    """One MLflow run, written through its journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    @property
    def run_id(self) -> str | None:
        """MLflow's id, once it is known."""
        return self.journal.run_id

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log metrics at a step."""
        if values:
            self.journal.write("metrics", values=numbers(values), step=step)

    def tags(self, values: Mapping[str, Any]) -> None:
        """Set tags."""
        self.journal.write("tags", values=dict(values))

    def inputs(self, artifacts: Mapping[str, Artifact], home: Home) -> None:
        """Log what the run reads, by role, as MLflow's datasets."""
        if artifacts:
            self.journal.write("inputs", datasets=datasets_of(artifacts, home))

    def file(self, to: str, write: Callable[[Path], object]) -> None:
        """Log what `write(path)` writes as the artifact `to`."""
        path = self.journal.new_file(to.rpartition("/")[2])
        write(path)
        self.journal.write("file", file=path.name, to=to)

    def figure(self, name: str, figure: Figure) -> None:
        """Log a matplotlib figure."""
        self.file(f"figures/{name}.png", lambda path: figure.savefig(path, format="png", dpi=110))

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log rows as a table that MLflow's Evaluation view shows (the format of mlflow.log_table)."""
        columns = list(rows[0]) if rows else []
        data = {"columns": columns, "data": [[row.get(column) for column in columns] for row in rows]}
        self.file(f"{name}.json", lambda path: path.write_text(json.dumps(data, default=str), "utf-8"))
        self.tags({"mlflow.loggedArtifacts": [{"path": f"{name}.json", "type": "table"}]})

    def page(self, name: str, html: str) -> None:
        """Log a page of HTML, which MLflow shows."""
        self.file(f"{name}.html", lambda path: path.write_text(html, "utf-8"))

    def model(self, name: str, artifact: Artifact, tags: Mapping[str, str]) -> None:
        """Register an artifact's model as a version of `name`, with these tags."""
        self.journal.write("model", name=name, artifact=artifact.name, content=artifact.content, tags=dict(tags))

    def finish(self, status: str) -> None:
        """End the run: FINISHED, FAILED or KILLED."""
        self.journal.write("finish", status=status)
        self.journal.close()


class LoggedSteps:
    """The last step at which each metric was logged, kept next to the checkpoints of a stage that is being built.

    A killed training run resumes from its checkpoint and repeats the steps since then. They would appear in MLflow
    twice, because it keeps every point that it gets.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            self._last = dict(json.loads(path.read_text()))

    def new(self, metrics: Mapping[str, float], step: int) -> dict[str, float]:
        """Return the metrics that were not logged at this step or a later one."""
        return {name: value for name, value in metrics.items() if step > self._last.get(name, -1)}

    def note(self, metrics: Mapping[str, float], step: int) -> None:
        """Record that they were logged; call it after logging, because a point logged twice is better than none."""
        self._last |= {name: max(step, self._last.get(name, -1)) for name in metrics}
        write_whole(self._path, json.dumps(self._last), durable=False, concurrent=True)


class StageReporter(Reporter):
    """Sends what a stage reports to MLflow, Prefect and the terminal. Losing one of them never stops a stage."""

    def __init__(
        self,
        run: TrackedRun,
        progress: StageProgress,
        logger: logging.Logger | logging.LoggerAdapter,
        logged: LoggedSteps,
    ) -> None:
        self.run = run
        self._progress = progress
        self._logger = logger
        self._logged = logged

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.run.metrics(self._logged.new(metrics, step), step)
        self._logged.note(metrics, step)

    def metric(self, values: Mapping[str, float]) -> None:
        self.run.metrics(values)

    def progress(self, done: float, total: float | None, unit: str, note: str) -> None:
        self._progress.update(done, total, unit, note)

    def figure(self, name: str, figure: Figure) -> None:
        self.run.figure(name, figure)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.run.table(name, rows)

    def text(self, name: str, text: str) -> None:
        self.run.file(f"{name}.txt", lambda path: path.write_text(text, "utf-8"))

    def page(self, name: str, html: str) -> None:
        self.run.page(name, html)

    def message(self, text: str, *, warning: bool = False) -> None:
        self._logger.log(logging.WARNING if warning else logging.INFO, text)
        if warning:
            log(f"  ! {text}")


class TrackingWatch(Watch):
    """Watches a stage while it is built: its MLflow run, its progress, its system metrics."""

    def __init__(
        self,
        tracker: Tracker,
        *,
        logger: logging.Logger | logging.LoggerAdapter,
        tags: Mapping[str, Any] | None = None,
        node: str | None = None,
        variant: str | None = None,
        model_name: str = "textmill",
        terminal: bool = True,
        prefect: bool = True,
    ) -> None:
        self._tracker = tracker
        self._logger = logger
        self._tags = dict(tags or {})
        self._node = node  # the name of the run; if empty, the stage's name is used
        self._variant = variant
        self._model_name = model_name
        self._terminal = terminal
        self._prefect = prefect

    def waiting(self, stage_name: str, key: str) -> None:
        message = f"{stage_name}/{key[:KEY_LENGTH]} is being built by another run; this one is waiting for it."
        self._logger.info(message)
        if self._terminal:
            log(f"  {message}")

    @contextlib.contextmanager
    def building(self, build: Build) -> Iterator[tuple[Reporter, Callable[[], dict[str, str]]]]:
        note = build.folder / WORK / "mlflow.json"
        earlier = _earlier_journal(note)
        stage = build.stage.name
        name = f"{stage}/{build.key[:KEY_LENGTH]}"
        tags = {
            "textmill.stage": stage,
            "textmill.key": build.key,
            "textmill.artifact": name,
            "textmill.reason": build.reason,
            "kind": build.stage.makes.__name__,
            **({"variant": self._variant} if self._variant else {}),
            **{f"textmill.input.{role}": artifact.name for role, artifact in build.inputs.items()},
            **self._tags,
        }
        params = flatten({**identity(build.config), "execution": execution(build.config)})
        run = self._tracker.start_run(
            experiment_of(stage), self._node or stage, tags, params, continues=earlier, about=about_stage(build.stage)
        )
        run.inputs(build.inputs, self._tracker.home)
        write_whole(note, json.dumps({"journal": earlier or run.journal.id}), durable=False, concurrent=True)
        progress = StageProgress(stage, terminal=self._terminal, prefect=self._prefect)
        system = SystemMetrics(run.metrics)
        journal_id = earlier or run.journal.id
        status = "FAILED"

        def runs() -> dict[str, str]:
            known = {"mlflow_journal": journal_id, "mlflow_run_id": run_id_of(self._tracker.home.spool, journal_id)}
            return {**{k: v for k, v in known.items() if v}, **{k: str(v) for k, v in self._tags.items()}}

        try:
            yield StageReporter(run, progress, self._logger, LoggedSteps(note.with_name("logged.json"))), runs
            status = "FINISHED"
        except BaseException as error:
            # Ctrl-C, and the exception that Prefect raises on SIGTERM, are not errors of the stage.
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            raise
        finally:
            progress.close(complete=status == "FINISHED")
            system.stop()
            if status == "FINISHED":
                self._register(run, build)
            run.finish(status)

    def _register(self, run: TrackedRun, build: Build) -> None:
        lake = Lake(build.folder.parent.parent)
        found = lake.lookup(build.stage.name, build.key)
        if isinstance(found, Artifact) and "model.safetensors" in found.files:
            run.model(f"{self._model_name}-{build.stage.name}", found, version_tags(found, lake))


def mlflow_run_id(home: Home, artifact: Artifact) -> str | None:
    """The MLflow run that built an artifact, or None if it was never tracked."""
    runs = artifact.manifest.runs
    journal = runs.get("mlflow_journal")
    return runs.get("mlflow_run_id") or (run_id_of(home.spool, journal) if journal else None)


def version_tags(artifact: Artifact, lake: Lake) -> dict[str, str]:
    """Return the tags of a registered version of a model: the artifact, and the names of all that it was made from."""
    made, gone = lineage(lake, [artifact])
    names = [one.name for one in made if one.name != artifact.name] + gone
    return {
        "artifact": artifact.name,
        "stage": artifact.stage,
        "key": artifact.key,
        "content": artifact.content,
        "lineage": " ".join(names),
    }


def flush_spool(home: Home) -> str | None:
    """Send what earlier processes could not send; return a sentence if it still cannot be sent."""
    return Tracker(home).close()


def _earlier_journal(note: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(note.read_text())["journal"])
    return None
