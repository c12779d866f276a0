"""The process in which a Prefect or MLflow server runs: `python -m flows.servers.host prefect|mlflow …`.

It serves on a socket that its parent opened and passed on, so the address is known before the server is up, early
clients wait in the socket's queue, and a restarted server keeps its address. Both servers run here instead of through
their own command lines, which would start further processes (MLflow's starts ten, 2.4 GB) that nobody would end when
`textmill up` is killed.
"""

import argparse
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.home import Home
from data_lake.store.locks import try_lock
from flows.servers.environment import mlflow_environment, prefect_environment
from flows.servers.mlflow_db import init_mlflow
from flows.servers.mlflow_pages import OpensOnTraining
from flows.servers.parent_watch import end_with, end_with_folder
from flows.servers.proxies import LOOPBACK, around_proxies

if TYPE_CHECKING:
    import uvicorn

# An embedded server outlives its last client by this long, so that the next run finds it warm.
IDLE_SECONDS = 5.0
_IDLE_POLL_SECONDS = 0.5
# Open browser pages keep websockets open; they must not delay the end of the server.
_GRACEFUL_SECONDS = 2


def prefect_app() -> Any:
    """The ASGI application of a Prefect server: API and pages."""
    from prefect.server.api.server import create_app

    return create_app(final=True)


def mlflow_app(home: Home) -> Any:
    """The ASGI application of an MLflow server on the home's database, which is created if there is none."""
    init_mlflow(home)
    from mlflow.server.fastapi_app import app

    return OpensOnTraining(app)


class SameOriginOnly:
    """Refuses requests that a browser sends on behalf of a foreign page; Prefect checks neither Host nor Origin.

    Without it, any web page that the user opens could start flows here: a `no-cors` request without a content type
    needs no permission from the server and is parsed as JSON, and DNS rebinding bypasses CORS altogether. Programs such
    as Prefect's own clients send no Origin and name the address they connect to.
    """

    def __init__(self, app: Any, hosts: frozenset[str] | None) -> None:
        self.app = app
        self.hosts = hosts  # None: any name, as the user opened the server to other machines

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
            host, origin = headers.get(b"host", ""), headers.get(b"origin")
            foreign_page = origin is not None and origin.split("://")[-1] != host
            if foreign_page or (self.hosts is not None and host not in self.hosts):
                await _refuse(scope, send)
                return
        await self.app(scope, receive, send)


async def _refuse(scope: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    text = b"This server answers only its own pages and programs on this machine."
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


def stop_when_idle(clients: Path, stop: Callable[[], None], idle_seconds: float = IDLE_SECONDS) -> None:
    """Wait until no client has held its shared lock on `clients` for `idle_seconds`, then call `stop`.

    It keeps the exclusive lock until this process ends: a client that arrives now waits until the server is gone and
    starts another one, instead of talking to one that is about to end.
    """
    idle_since: float | None = None
    while True:
        time.sleep(_IDLE_POLL_SECONDS)
        try:
            held = try_lock(clients)
        except OSError:  # the home is gone, and so this process ends; or its disk is not responding for a while
            continue
        if held is None:
            idle_since = None
            continue
        now = time.monotonic()
        idle_since = idle_since or now
        if now - idle_since >= idle_seconds:
            stop()
            return
        os.close(held)


def serve(app: Any, listener: socket.socket, ready: Callable[["uvicorn.Server"], None]) -> None:
    """Serve the ASGI application until SIGTERM or SIGINT; call `ready` with the server before it starts."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACEFUL_SECONDS, lifespan="on"
    )
    server = uvicorn.Server(config)
    ready(server)
    server.run(sockets=[listener])


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the process; the options are for connect.py and up.py, not for users."""
    parser = argparse.ArgumentParser(prog="python -m flows.servers.host")
    parser.add_argument("kind", choices=["prefect", "mlflow"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--parent", type=int, help="end with this process; without it, end when no client is left")
    options = parser.parse_args(arguments)

    os.environ.update(around_proxies(os.environ))
    if options.parent is not None:
        end_with(options.parent)
    home = Home(options.home)
    # `rm -rf $TEXTMILL_HOME` deletes the lock file that tells a server without a parent that nobody needs it.
    end_with_folder(home.run)
    listener = socket.socket(fileno=options.socket)
    host, port = listener.getsockname()[:2]
    embedded = options.parent is None
    if options.kind == "prefect":
        # What the user has set for the server (such as a Postgres database) wins; the home does not move.
        settings = prefect_environment(home, f"http://{host}:{port}", embedded=embedded)
        os.environ.update(settings | os.environ | {"PREFECT_HOME": settings["PREFECT_HOME"]})
        app = prefect_app()
    else:
        os.environ.update(mlflow_environment(home, host, port))
        app = mlflow_app(home)
    names = frozenset(f"{name}:{port}" for name in (host, "127.0.0.1", "localhost")) if host in LOOPBACK else None

    def watch_clients(server: "uvicorn.Server") -> None:
        def stop() -> None:
            server.should_exit = True

        if embedded:
            threading.Thread(target=stop_when_idle, args=(home.run / "clients.lock", stop), daemon=True).start()

    serve(SameOriginOnly(app, names), listener, watch_clients)


if __name__ == "__main__":
    main()
