"""The Prefect flows: the whole pipeline, and one flow per stage that runs it again."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from pydantic import WithJsonSchema

from flows.graph.promoted import promoted
from flows.graph.stages import STAGES
from flows.graph.variants import graph_of
from flows.recipe.recipe import Recipe
from flows.run.rerun import changed_recipe, rerun_scope
from flows.run.runner import run_graph
from flows.run.verdicts import judged_in_run
from tasks.stage.contract import AnyStage

_OtherStages = Annotated[Recipe, WithJsonSchema({"type": "object"})]
"""A recipe whose form is one field of JSON. A form of the whole recipe is 180 KB of schema. Prefect's server checks the
schema of each deployment before it answers anybody else: with such a form beside that of each stage, it took a second
of processor time for each of them at every start. The deployment of the pipeline has it."""


@flow(name="pipeline", log_prints=False)
def pipeline(
    config: Recipe = Recipe(),  # noqa: B008
    until: list[str] = [],  # noqa: B006
    force: list[str] = [],  # noqa: B006
) -> State[Any] | None:
    """Run the whole pipeline, from the crawl to the evaluated models.

    If the recipe has a `promote` section, the run ends with it, as Promoted or NotPromoted; not if it stops before.

    Args:
        config: the recipe: one section for each stage, and its variants
        until: the last stages to run, or nodes such as pretrain@d6; empty for all
        force: stages or nodes to rebuild even if the lake has them
    """
    graph = graph_of(config)
    lines = run_graph(graph, config, until, force)
    if config.promote is None or until:
        return None
    model, evaluation = promoted(graph, config.promote, config.name)
    return judged_in_run(
        lines[model.name].artifact, lines[evaluation.name].artifact, f"{config.name}-{model.stage.name}", config.promote
    )


def _flow_of(stage: AnyStage) -> Flow[Any, None]:
    """The flow that runs `stage` again; its form in the UI is the stage's own config."""

    def rerun(config: Any, node: str = "", downstream: bool = False, force: bool = True, recipe: Any = None) -> None:
        changed = changed_recipe(recipe, stage.name, config, node)
        graph = graph_of(changed)
        chosen = node or stage.name
        run_graph(graph, changed, rerun_scope(graph, chosen, downstream=downstream), [chosen] if force else [])

    rerun.__name__ = f"{stage.name}_flow"
    rerun.__doc__ = f"""Run the stage {stage.name} again, with the artifacts of the stages before it that the lake has.

    Args:
        config: the stage's own settings
        node: which node of the stage if the recipe has several, such as {stage.name}@d6; empty for all
        downstream: also run what depends on it
        force: rebuild even if the lake has this result
        recipe: the settings of the stages around it
    """
    # Prefect reads the form from the signature: the types and defaults are this stage's.
    rerun.__annotations__ = {
        "config": stage.config_type, "node": str, "downstream": bool, "force": bool,
        "recipe": _OtherStages,
    }  # fmt: skip
    rerun.__defaults__ = (stage.config_type(), "", False, True, Recipe())
    return flow(name=f"stage-{stage.name}")(rerun)


STAGE_FLOWS: dict[str, Flow[Any, None]] = {name: _flow_of(stage) for name, stage in STAGES.items()}


def __getattr__(name: str) -> Flow[Any, None]:
    """Return a stage's flow by the name that entrypoints of deployments use: flows.run.flows.crawl_flow."""
    stage = name.removesuffix("_flow")
    if name.endswith("_flow") and stage in STAGE_FLOWS:
        return STAGE_FLOWS[stage]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
