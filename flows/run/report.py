"""The report of a run: lines in the terminal, tables in Prefect, the pipeline's run in MLflow."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_lake.reading.audit import Audit, audit_of
from data_lake.store.gain import Gain
from data_lake.store.home import Home
from flows.graph.node import Node
from flows.graph.price import UNKNOWN, Price, total
from flows.recipe.recipe import RecipeBase
from flows.run.gains import TITLE, gain_rows, gains_of, gains_text
from flows.run.pipeline_runs import PipelineRuns
from flows.servers.mlflow_pages import run_page
from tasks.evaluation.evaluate.report import comparisons
from tasks.stage import Artifact, BuildResult, kinds
from tasks.tracking.quantities import duration, size
from tasks.tracking.terminal import log, visible
from tasks.tracking.watch import Tracker, experiment_of, mlflow_run_id


@dataclass(frozen=True)
class Line:
    """The outcome of one node."""

    node: str
    status: str  # built, cached, lost, failed
    why: str
    seconds: float
    artifact: Artifact | None
    expected: Price = UNKNOWN


class Report:
    """Collects the outcome of each node and shows it in the terminal, in Prefect and in MLflow."""

    def __init__(
        self,
        home: Home,
        recipe: RecipeBase,
        nodes: Sequence[Node],
        tracker: Tracker,
        flow_run_id: str,
        flow_run_url: str | None,
        until: str | None = None,
        expected: Mapping[Node, Price] | None = None,
    ) -> None:
        self.home = home
        self.recipe = recipe
        self.lines: dict[str, Line] = {}
        self.on_terminal = True
        self._tracker = tracker
        self._nodes: dict[str, Node] = {}
        self._expected = dict(expected or {})
        self._width = max((len(node.name) for node in nodes), default=0)
        self._flow_run_id, self._flow_run_url = flow_run_id, flow_run_url
        self._started = time.monotonic()
        self._runs = PipelineRuns(home, recipe, nodes, tracker, self.tags(), until)

    def tags(self) -> dict[str, Any]:
        """Tags that lead from an MLflow run to the Prefect run."""
        known = {"prefect.flow_run_id": self._flow_run_id, "prefect.flow_run_url": self._flow_run_url}
        return {name: value for name, value in known.items() if value}

    def log(self, text: str) -> None:
        """Print a line for people (stderr, so that stdout stays clean for data)."""
        if self.on_terminal:
            log(text)

    def node(self, node: Node, result: BuildResult | None, why: str = "", *, failed: bool = False) -> None:
        """Record the outcome of a node."""
        name, price = node.name, self._expected.get(node, UNKNOWN)
        self._nodes[name] = node
        if result is None:
            self.lines[name] = Line(name, "failed" if failed else "lost", why, 0.0, None)
        else:
            price = price if result.status == "built" else UNKNOWN
            self.lines[name] = Line(name, result.status, result.reason, result.seconds, result.artifact, price)
        line = self.lines[name]
        mark = {"built": "✓", "cached": "=", "lost": "–", "failed": "✗"}[line.status]
        detail = headline(line.artifact, node.stage.headline) if line.artifact else line.why
        expected = "" if line.expected.seconds is None else f", expected {duration(line.expected.seconds)}"
        why = f"  ({in_brief(line.why)}{expected})" if line.status == "built" else ""
        self.log(f"{mark} {name:<{self._width}} {line.status:<7} {line.seconds:>6.1f} s  {detail}{why}")

    def close(self, error: BaseException | None) -> None:
        """Finish the pipeline's MLflow run and leave the tables in Prefect."""
        lines = list(self.lines.values())
        audit = audit_of([line.artifact for line in lines if line.artifact is not None])
        for problem in audit.problems:
            self.log(f"! {problem}")
        if error is None:
            for compared in self._compared():
                self.log(f"\n{compared}")
            if (gains := gains_text(self._gains())) is not None:
                self.log(f"\n{gains}")
            for page in self._pages():
                self.log(f"As a page, with samples: {page}")
        if (compared_prices := spent(lines)) is not None:
            self.log(compared_prices)
        stopped = error is not None and not isinstance(error, Exception)  # Ctrl-C, or Prefect's exception for SIGTERM
        self._runs.finish(
            {self._nodes[name]: (line.status, line.artifact) for name, line in self.lines.items()},
            {"seconds": time.monotonic() - self._started},
            "KILLED" if stopped else "FAILED" if error is not None else "FINISHED",
        )
        with contextlib.suppress(Exception):  # an unreachable server must not spoil a finished run
            self._leave_in_prefect(audit)

    def _leave_in_prefect(self, audit: Audit) -> None:
        from prefect.artifacts import create_markdown_artifact, create_table_artifact

        rows = [
            {
                "node": line.node,
                "status": line.status,
                "why": line.why,
                "seconds": round(line.seconds, 1),
                "expected seconds": "" if line.expected.seconds is None else round(line.expected.seconds, 1),
                "bytes": line.artifact.manifest.total_bytes if line.artifact else "",
                "expected bytes": "" if line.expected.bytes is None else line.expected.bytes,
                "counts": ", ".join(f"{n:,} {k}" for k, n in line.artifact.counts.items()) if line.artifact else "",
                "artifact": line.artifact.name if line.artifact else "",
            }
            for line in self.lines.values()
        ]
        create_table_artifact(table=rows, key="stages", description="The outcome of each node, and why")
        if audit.stages:
            create_table_artifact(table=ledger_table(audit), key="ledger", description=LEDGER_DESCRIPTION)
        if gains := gain_rows(self._gains()):
            create_table_artifact(table=gains, key="gains", description=TITLE)
        create_markdown_artifact(markdown=self._summary(), key="summary", description="Results, with links to MLflow")

    def _summary(self) -> str:
        rows = ["| node | status | seconds | results | MLflow |", "|---|---|---|---|---|"]
        for line in self.lines.values():
            run_id = mlflow_run_id(self.home, line.artifact) if line.artifact else None
            where = self._link(line.artifact.stage if line.artifact else "", run_id)
            chosen = self._nodes[line.node].stage.headline
            results = as_markdown(headline(line.artifact, chosen) if line.artifact else line.why)
            rows.append(f"| {line.node} | {line.status} | {line.seconds:.1f} | {results} | {where} |")
        compared = [*self._compared(), *filter(None, [gains_text(self._gains())])]
        blocks = [text for one in compared for text in ("", "```", one, "```")]
        pages = [text for page in self._pages() for text in ("", f"As a page, with samples: `{page}`")]
        return "\n".join([f"# {self.recipe.name or 'pipeline'}", "", *rows, *blocks, *pages])

    def _gains(self) -> dict[str, Gain]:
        return gains_of({name: line.artifact for name, line in self.lines.items()})

    def _compared(self) -> list[str]:
        """How good the models are: side by side, next to chance and xz, both newly evaluated and cached ones."""
        evaluations = {
            node.inputs["model"].name: made
            for name, node in self._nodes.items()
            if issubclass(node.kind, kinds.Evaluation) and (made := self.lines[name].artifact)
        }
        try:
            return comparisons(evaluations)
        except (OSError, ValueError, KeyError):  # a damaged file must not spoil the end of a run
            return []

    def _pages(self) -> list[Path]:
        """The report pages of all evaluations; the pipeline's MLflow run has one page with all models."""
        made = [line.artifact for line in self.lines.values() if line.artifact is not None]
        return [path for artifact in made if (path := kinds.report_of(artifact)) is not None]

    def _link(self, stage: str, run_id: str | None) -> str:
        if run_id is None:
            return "not sent yet"
        if not self._tracker.uri.startswith("http"):
            return f"`{run_id}` in {experiment_of(stage)}"
        return f"[{experiment_of(stage)}]({run_page(self._tracker.uri, run_id)})"


def in_brief(why: str) -> str:
    """Return the reasons of a build with the modules that changed counted, if they are more than three."""
    reasons = why.split("; ")
    others = [reason for reason in reasons if not reason.startswith("code ")]
    modules = len(reasons) - len(others)
    return why if modules <= 3 else "; ".join([*others, f"code of {modules} modules changed"])


def spent(lines: Sequence[Line]) -> str | None:
    """A comparison of actual and expected cost, for the builds that had an expected cost."""
    built = [line for line in lines if line.status == "built" and line.artifact is not None]
    priced = [line for line in built if line.expected.seconds is not None]
    if not priced:
        return None
    expected = total(line.expected for line in priced)
    assert expected.seconds is not None
    took = sum(line.seconds for line in priced)
    made = sum(line.artifact.manifest.total_bytes for line in priced if line.artifact is not None)
    sizes = "" if expected.bytes is None else f" and {size(made)} ({size(expected.bytes)} expected)"
    of = "All builds" if len(priced) == len(built) else f"{len(priced)} of {len(built)} builds"
    return f"{of} took {duration(took)} ({duration(expected.seconds)} expected){sizes}."


def as_markdown(text: str) -> str:
    """Return a text as one line of literal Markdown, because a reason may quote text from any source."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&$^-])", r"\\\1", " ".join(visible(text).split()))


LEDGER_DESCRIPTION = "Every document that came in was kept, or was removed for a named reason"


def ledger_table(audit: Audit) -> list[dict[str, Any]]:
    """The audit as rows of a table; numbers that are not counted yet are empty, not 0."""
    return [
        {
            "stage": row.stage,
            "entry": row.label,
            "documents": f"{row.documents:,}",
            "bytes": f"{row.bytes:,}",
            "tokens": "" if row.tokens is None else f"{row.tokens:,}",
        }
        for row in audit.rows()
    ]


def headline(artifact: Artifact, chosen: Sequence[str]) -> str:
    """A one-line summary of an artifact's numbers: the chosen metrics, and the first counts."""
    known = {name: value for name in chosen if (value := artifact.metrics.get(name)) is not None}
    counts = list(artifact.counts.items())[: 4 - min(2, len(known))]
    shown = [f"{number:,} {name.replace('_', ' ')}" for name, number in counts]
    shown += [f"{name.replace('_', ' ')} {value:.3f}" for name, value in known.items()]
    return ", ".join(shown) or f"{artifact.manifest.total_bytes:,} bytes"
