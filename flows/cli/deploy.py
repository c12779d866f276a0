"""`textmill deploy`: give the deployments of a recipe to a Prefect work pool."""

from __future__ import annotations

from typing import Annotated

import typer

from data_lake.store.home import Home
from flows.cli.arguments import Overrides, RecipeName, load
from flows.cli.console import UserError, examples, in_sentences, note


@in_sentences
def deploy(
    recipe: RecipeName = "demo",
    pool: Annotated[
        str, typer.Option(metavar="NAME", help="the work pool; one that does not exist is made")
    ] = "textmill",
    overrides: Overrides = None,
) -> None:
    """Deploy the pipeline and one rerun per stage to a work pool, for workers on this and on other machines.

    The server is that of PREFECT_API_URL, or the one of a running `textmill up`. Deploy again to give them the recipe's
    new values.
    """
    from flows.run.pools import PoolError, deploy_to
    from flows.servers.connect import ServerError

    loaded = load(recipe, overrides)
    try:
        names = deploy_to(loaded, pool, Home.from_env())
    except (PoolError, ServerError) as error:
        raise UserError(str(error.args[-1])) from error
    for name in names:
        note(f"  {name}")
    note(f"Start a worker where textmill is installed and sees the same home: prefect worker start --pool {pool}")


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Running",
        epilog=examples("textmill deploy --pool gpus", "textmill deploy my.yaml --pool nightly"),
    )(deploy)
