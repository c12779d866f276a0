"""One flow per stage: what the Prefect UI, its API and `textmill rerun` start to run a single stage again."""

from __future__ import annotations

from typing import Any

from prefect import Flow, flow

from flows.graph import STAGES
from flows.pipeline import grow
from flows.recipe import Recipe
from tasks.config import changed_by
from tasks.stage import Stage


def _flow_of(stage: Stage) -> Flow[Any, None]:
    """The flow that runs `stage` again; its form in the UI is the stage's own config."""

    def rerun(config: Any, downstream: bool = False, force: bool = True, recipe: Any = None) -> None:
        # of a config that is partly given, as by the API, the rest is the recipe's and not what its class says
        changed = recipe.model_copy(update={stage.name: changed_by(recipe.config(stage.name), config)})
        grow(changed, until=None if downstream else stage.name, force=[stage.name] if force else [])

    rerun.__name__ = f"{stage.name}_flow"
    rerun.__doc__ = f"""Run the stage {stage.name} again; what the lake has of the stages before it is used as it is.

    Args:
        config: the stage's own settings
        downstream: also run what depends on it
        force: rebuild even if the lake has this very result
        recipe: the settings of the stages around it
    """
    # Prefect reads the form from the signature: the types and defaults are this stage's.
    rerun.__annotations__ = {"config": stage.config_type, "downstream": bool, "force": bool, "recipe": Recipe}
    rerun.__defaults__ = (stage.config_type(), False, True, Recipe())
    return flow(name=f"stage-{stage.name}")(rerun)


# At module level under their own names, so that a deployment's entrypoint (flows/stages.py:crawl_flow) finds them.
STAGE_FLOWS: dict[str, Flow[Any, None]] = {name: _flow_of(stage) for name, stage in STAGES.items()}
globals().update({f"{name}_flow": stage_flow for name, stage_flow in STAGE_FLOWS.items()})
