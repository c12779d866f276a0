"""The pipeline's runs in MLflow: one for each variant, with the results of its nodes and the recipe to replay it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.reading.audit import audit_of
from data_lake.store.home import Home
from flows.graph.node import Node, targets
from flows.recipe.recipe import RecipeBase
from flows.run.gains import gain_rows, gains_of
from tasks.evaluation.evaluate.page import page_of
from tasks.evaluation.evaluate.page_content import read_measured
from tasks.stage import Artifact, kinds
from tasks.stage.config import flatten, identity
from tasks.tracking.mlflow_client import NOTE
from tasks.tracking.watch import PIPELINE_ABOUT, PIPELINE_EXPERIMENT, TrackedRun, Tracker, mlflow_run_id

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECIPE_FILE = "recipe.json"
MAX_NAME = 200


class PipelineRuns:
    """The MLflow runs of one pipeline run. All its variants carry the tag of the same Prefect run."""

    def __init__(
        self,
        home: Home,
        recipe: RecipeBase,
        nodes: Sequence[Node],
        tracker: Tracker,
        tags: Mapping[str, Any],
        until: str | None = None,
    ) -> None:
        self._home, self._recipe, self._tracker = home, recipe, tracker
        wanted = [node for node in targets(nodes) if isinstance(node, Node)]
        labels = [label for label in recipe.variants if not nodes or any(label in node.users for node in wanted)]
        self._runs = {label: self._start(label, tags, until) for label in labels or [""]}

    def _start(self, label: str, tags: Mapping[str, Any], until: str | None) -> TrackedRun:
        recipe = self._recipe.variant(label) if label else self._recipe
        last = f" until {until}" if until else ""
        name = f"{self._recipe.name or 'pipeline'}{'@' if label else ''}{label}{last}"[:MAX_NAME]
        own = {
            "textmill.recipe": self._recipe.name,
            **({"variant": label} if label else {}),
            **({NOTE: recipe.description} if recipe.description else {}),
        }
        params = flatten({stage: identity(config) for stage, config in recipe.configs().items()})
        run = self._tracker.start_run(PIPELINE_EXPERIMENT, name, {**own, **tags}, params, about=PIPELINE_ABOUT)
        run.file(RECIPE_FILE, self._write_recipe)
        return run

    def _write_recipe(self, path: Path) -> None:
        """Write the recipe with all its variants, so that one recipe replays the whole pipeline run."""
        path.write_text(json.dumps(self._recipe.model_dump(mode="json"), indent=1, ensure_ascii=False), "utf-8")

    def finish(
        self, outcome: Mapping[Node, tuple[str, Artifact | None]], metrics: Mapping[str, float], status: str
    ) -> None:
        """Log the outcome of each variant's nodes (status and artifact) under their base names, and end the runs."""
        figures: dict[tuple[str, ...], Figure | None] = {}
        for label, run in self._runs.items():
            own = {node: found for node, found in outcome.items() if not label or label in node.users}
            run.metrics({**metrics, **_numbers(own)})
            run.tags(self._tags_of(own))
            gains = gain_rows(gains_of({node.base_name: artifact for node, (_, artifact) in own.items()}))
            if gains:
                run.table("gains", gains)
            artifacts = [artifact for _, artifact in own.values() if artifact is not None]
            # a run that found everything in the lake would repeat its predecessor's picture; drawing took 0.5 of 5 s
            if any(done != "cached" for done, _ in own.values()):
                drawn = tuple(artifact.name for artifact in artifacts if artifact.manifest.ledger is not None)
                if drawn not in figures:
                    figures[drawn] = _funnel(artifacts, self._recipe.name)
                if (figure := figures[drawn]) is not None:
                    run.figure("funnel", figure)
                title = f"Evaluation of {label or self._recipe.name or 'the models'}"
                if (page := _page(own, title, gains)) is not None:
                    run.page(Path(kinds.Evaluation.report).stem, page)
            run.finish(status)

    def _tags_of(self, outcome: Mapping[Node, tuple[str, Artifact | None]]) -> dict[str, str]:
        tags: dict[str, str] = {}
        for node, (status, artifact) in outcome.items():
            tags[f"textmill.stage.{node.base_name}"] = f"{status} {artifact.name if artifact else ''}".strip()
            if artifact is not None and (run_id := mlflow_run_id(self._home, artifact)):
                tags[f"textmill.run.{node.base_name}"] = run_id
        return tags


def _numbers(outcome: Mapping[Node, tuple[str, Artifact | None]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for node, (_, artifact) in outcome.items():
        numbers = {} if artifact is None else {**artifact.counts, **artifact.metrics}
        found |= {f"{node.base_name}.{name}": value for name, value in numbers.items() if value is not None}
    return found


def _page(
    outcome: Mapping[Node, tuple[str, Artifact | None]], title: str, gains: Sequence[Mapping[str, Any]]
) -> str | None:
    """Return the report page of all models that were evaluated, if there are any, with what each stage gave."""
    evaluations = {
        node.inputs["model"].name: made
        for node, (_, made) in outcome.items()
        if issubclass(node.kind, kinds.Evaluation) and made is not None
    }
    try:
        return page_of([read_measured(*one) for one in evaluations.items()], title, gains) if evaluations else None
    except Exception:  # a damaged file must not spoil the end of a run
        return None


def _funnel(artifacts: Sequence[Artifact], name: str) -> Figure | None:
    if not (ledgers := audit_of(artifacts).ledgers()):
        return None
    from tasks.stage.figures import funnel

    return funnel(ledgers, f"{name}: what came in, what went out")
