"""The deployments of a recipe: the pipeline with its schedule, each stage again, promote, compare; how they are served.

`python -m flows.run.deployments RECIPE` serves them from this machine; `textmill up` keeps that process running. The
same deployments go to a work pool, whose workers may be on other machines, by `textmill deploy` (flows/run/pools.py).
"""

import argparse
import asyncio
import os
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from data_lake.store.home import Home
from flows.servers.parent_watch import end_with
from flows.servers.proxies import around_proxies
from flows.servers.recipe_watch import RunnerNotes, follow_recipe
from flows.servers.reconcile import RUNNER_VARIABLE, skip_missed_runs

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner
    from prefect.schedules import Schedule

    from flows.recipe.recipe import Recipe

# A run that is late by less than this is not considered missed but waiting for its turn.
GRACE = timedelta(minutes=5)
# Maximum number of concurrent flow runs. A home has one GPU and one lake; more runs would wait for each other's locks.
MAX_RUNS = 4
TAG = "textmill"
# Prefect recognises an existing schedule by its slug; without one it would create a new schedule at each start.
SLUG = "recipe"


def deployments(recipe: "Recipe") -> "list[RunnerDeployment]":
    """All deployments; the forms in the UI are prefilled with the recipe's values."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.types.entrypoint import EntrypointType

    from flows.recipe.promote import PromoteConfig
    from flows.run.flows import STAGE_FLOWS, pipeline
    from flows.run.verdicts import compare, promote

    values = recipe.model_dump(mode="json")
    nightly = pipeline.to_deployment(
        "nightly",
        description=f"The whole pipeline with recipe {recipe.name}. {recipe.description}".strip(),
        parameters={"config": values},
        schedule=schedule_of(recipe),
        # A run that is due while the last one is still running, or together with others after downtime, is dropped.
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW, grace_period_seconds=60
        ),
        tags=[TAG],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    reruns = [
        stage_flow.to_deployment(
            "rerun",
            description=f"The stage {name} again, with what the lake has of the stages before it.",
            parameters={"config": _config_of(recipe, name), "recipe": values},
            tags=[TAG, name],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for name, stage_flow in STAGE_FLOWS.items()
    ]
    verdicts = [
        promote.to_deployment(
            "promote",
            description="The last run's model, or another one, becomes the champion if it is not worse than this one.",
            parameters={"model": "last", "config": (recipe.promote or PromoteConfig()).model_dump(mode="json")},
            tags=[TAG],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        compare.to_deployment(
            "compare",
            description="Runs, variants or models side by side, with paired tests of their scores.",
            parameters={"subjects": ["last~1", "last"]},
            tags=[TAG],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
    ]
    # coroutines only for async callers
    return cast("list[RunnerDeployment]", [nightly, *reruns, *verdicts])


def _config_of(recipe: "Recipe", stage: str) -> dict[str, Any]:
    """The values that prefill a stage's form; the defaults if the recipe turns the stage off."""
    from flows.graph.stages import STAGES

    config = recipe.configs().get(stage) or STAGES[stage].config_type()
    return config.model_dump(mode="json")


def schedule_of(recipe: "Recipe") -> "Schedule | None":
    """The recipe's schedule for Prefect, or None."""
    from prefect.schedules import Cron

    if recipe.schedule is None:
        return None
    parameters = {"config": scheduled(recipe).model_dump(mode="json")}
    return Cron(recipe.schedule.cron, timezone=recipe.schedule.timezone, parameters=parameters, slug=SLUG)


def scheduled(recipe: "Recipe") -> "Recipe":
    """The recipe for scheduled runs only, in which sources older than the schedule's max_age are refreshed."""
    if recipe.schedule is None or recipe.crawl is None:
        return recipe
    crawl = recipe.crawl.model_copy(update={"max_age": recipe.schedule.max_age})
    return recipe.model_copy(update={"crawl": crawl})


async def serve(
    wanted: "Sequence[RunnerDeployment]",
    home: Home,
    poll_seconds: float = 2.0,
    grace: timedelta = GRACE,
    follow: "Callable[[Runner, RunnerNotes], Coroutine[Any, Any, None]] | None" = None,
) -> None:
    """Apply the deployments and execute their runs, each in its own process, until SIGTERM.

    Schedules stay active when this ends: there is no scheduler then either. If they were paused, as Prefect's own
    serve() does, the next start could not tell that from a pause by the user, which is kept. `follow` runs alongside.
    """
    from prefect.runner import Runner

    os.environ[RUNNER_VARIABLE] = str(os.getpid())
    runner = Runner(name=TAG, pause_on_shutdown=False, query_seconds=poll_seconds, limit=MAX_RUNS)
    await apply(runner, wanted, grace)
    notes = RunnerNotes(home)
    notes.ready()
    following = asyncio.create_task(follow(runner, notes)) if follow is not None else None
    try:
        await runner.start()
    finally:
        if following is not None:
            following.cancel()


async def apply(runner: "Runner", wanted: "Sequence[RunnerDeployment]", grace: timedelta = GRACE) -> None:
    """Make the server's deployments match the wanted ones; what the user has paused stays paused."""
    await asyncio.to_thread(_keep_pauses, wanted)
    ids = [await runner.aadd_deployment(deployment) for deployment in wanted]
    await asyncio.to_thread(_tidy, wanted, ids, grace)


def name_of(deployment: "RunnerDeployment") -> str:
    """`flow/deployment`, as Prefect's pages show it."""
    return f"{deployment.flow_name}/{deployment.name}"


def _keep_pauses(wanted: "Sequence[RunnerDeployment]") -> None:
    """Keep a schedule paused if the user has paused it on the server."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for deployment in wanted:
            try:
                known = client.read_deployment_by_name(name_of(deployment))
            except ObjectNotFound:
                continue
            paused = {schedule.slug for schedule in known.schedules if not schedule.active}
            for schedule in deployment.schedules or []:
                if schedule.slug in paused:
                    schedule.active = False


def _tidy(wanted: "Sequence[RunnerDeployment]", ids: list[UUID], grace: timedelta) -> None:
    """Remove schedules that the recipe no longer has, and all missed runs except the newest."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for deployment, deployment_id in zip(wanted, ids, strict=True):
            kept = {schedule.slug for schedule in deployment.schedules or []}
            for schedule in client.read_deployment_schedules(deployment_id):
                if schedule.slug not in kept:
                    client.delete_deployment_schedule(deployment_id, schedule.id)
        if skipped := skip_missed_runs(client, ids, grace):
            print(f"Skipped {skipped} scheduled runs that were missed; the newest takes their place.", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the process that serves the deployments to the server at PREFECT_API_URL."""
    parser = argparse.ArgumentParser(prog="python -m flows.run.deployments")
    parser.add_argument("recipe", help="name or path of the recipe whose values the deployments have")
    parser.add_argument("--parent", type=int, help="end with this process")
    options = parser.parse_args(arguments)
    os.environ.update(around_proxies(os.environ))
    if options.parent is not None:
        end_with(options.parent)

    from flows.recipe.load import load_recipe

    recipe = load_recipe(options.recipe)
    wanted = deployments(recipe)

    def follow(runner: "Runner", notes: RunnerNotes) -> Coroutine[Any, Any, None]:
        async def apply_again(edited: "Recipe", names: Collection[str]) -> None:
            made = await asyncio.to_thread(deployments, edited)  # in an event loop Prefect returns coroutines
            await apply(runner, [deployment for deployment in made if name_of(deployment) in names])

        return follow_recipe(options.recipe, recipe, [name_of(one) for one in wanted], apply_again, notes)

    asyncio.run(serve(wanted, Home.from_env().ensure(), follow=follow))


if __name__ == "__main__":
    main()
