"""`textmill serve`: models behind OpenAI's API, and the chat page."""

from __future__ import annotations

from typing import Annotated

import typer

from data_lake.store.home import Home
from flows.cli.console import UserError, examples, in_sentences, note


@in_sentences
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="a stage (its newest model), stage/key, or NAME@champion [default: each stage's newest]",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="address to listen on; beyond this machine it needs an API key")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port; 0 = a free one")] = 8000,
    slots: Annotated[int, typer.Option(min=1, max=1024, help="texts that grow side by side, for each model")] = 16,
    queue: Annotated[int, typer.Option(min=0, max=100_000, help="texts that may wait, for each model")] = 128,
    kv_megabytes: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="memory in MB for keys and values, for each model; texts wait until there is room "
            "[default: room for all slots twice, at most 1,024]",
        ),
    ] = None,
    max_body_megabytes: Annotated[float, typer.Option(min=0.001, help="largest body of a request in MB")] = 8.0,
    patience: Annotated[
        float, typer.Option(min=0.1, help="seconds after which a client that reads nothing loses its stream")
    ] = 60.0,
    drain: Annotated[float, typer.Option(min=0.0, help="seconds that texts get to end after Ctrl-C or SIGTERM")] = 30.0,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="a page of another site that may ask, as https://example.org; may be repeated"
        ),
    ] = None,
    unguarded: Annotated[
        bool, typer.Option("--unguarded", help="answer other machines although no API key is set")
    ] = False,
    index: Annotated[
        str,
        typer.Option(metavar="INDEX", help="pages that answers may come from: index (the newest), or stage/key"),
    ] = "index",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
) -> None:
    """Serve models behind OpenAI's API until Ctrl-C.

    A key in TEXTMILL_API_KEY guards the API. When a newer model takes a name, it takes over without losing a request.
    """
    from flows.servers.api_keys import NotGuarded, api_keys, check_guarded
    from flows.servers.connect import listen, url_of
    from flows.servers.state import ServerError
    from flows.serving.models import Settings
    from flows.serving.server import Address, default_names, find_index, votes_of
    from flows.serving.server import serve as run_server

    home = Home.from_env()
    names = models or default_names(home)
    if not names:
        raise UserError(f"The lake {home.lake} has no model yet; make one, as in: textmill run demo")
    if index != "index" and find_index(home, index) is None:
        raise UserError(f"The lake has no index of pages {index!r}; `textmill artifacts index` lists them.")
    keys = api_keys()
    settings = Settings(
        slots, queue, device, int(max_body_megabytes * 1e6), patience, kv_megabytes=kv_megabytes, votes=votes_of(home)
    )
    try:
        check_guarded(host, keys, unguarded=unguarded)
        listener = listen(host, port)
    except (NotGuarded, ServerError) as error:
        hint = " Or say --unguarded, if that is meant." if isinstance(error, NotGuarded) else ""
        raise UserError(f"{error}{hint}") from error
    address = Address(host, tuple(origin or ()), keys)
    if port not in (0, listener.getsockname()[1]):
        note(f"Port {port} is taken by another program.")
    note(f"Serving {', '.join(names)} at {url_of(listener)}/v1\nChat at {url_of(listener)}")
    run_server(names, listener, address, settings, home=home, drain_seconds=drain, echo=note, index=index)


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples(
            "textmill serve",
            "textmill serve sft pretrain --port 8080",
            "textmill serve demo-sft@champion",
        ),
    )(serve)
