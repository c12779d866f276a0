"""The deployments of a recipe for a Prefect work pool, so that workers on other machines can take its runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from data_lake.store.home import Home

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.recipe.recipe import Recipe


class PoolError(Exception):
    """The deployments cannot be applied to the pool; the message is a sentence."""


def deploy_to(recipe: Recipe, pool: str, home: Home) -> list[str]:
    """Apply the deployments of `recipe` for the work pool `pool`, and return their names.

    A pool that does not exist is created, of the type whose workers start processes. Raises PoolError, ServerError.
    """
    from flows.servers.connect import connect, up_state

    if not os.environ.get("PREFECT_API_URL") and not (up_state(home) or {}).get("prefect_url"):
        raise PoolError(
            "A work pool lives on a Prefect server that keeps running: set PREFECT_API_URL to yours, or start "
            "`textmill up` first."
        )
    connection = connect(home.ensure())
    try:
        connection.apply()
        connection.wait()
        from prefect.client.orchestration import get_client

        from flows.run.deployments import deployments

        with get_client(sync_client=True) as client:
            _ensure_pool(client, pool)
        made = deployments(recipe)
        for deployment in made:
            deployment.apply(work_pool_name=pool)
        return [deployment.full_name for deployment in made]
    finally:
        connection.close()


def _ensure_pool(client: SyncPrefectClient, pool: str) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
