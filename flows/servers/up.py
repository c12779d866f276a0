"""`textmill up`: the Prefect server, the MLflow server and the runner of all deployments, until Ctrl-C."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from data_lake.store.home import Home
from data_lake.store.locks import locked, try_lock
from flows.servers.api_keys import NotGuarded, api_keys, check_guarded
from flows.servers.connect import (
    START_SECONDS,
    client_environment,
    is_up,
    listen,
    start_host,
    start_logged,
    up_state,
    url_of,
    wait_until,
)
from flows.servers.databases import check_tracking_uri, database_problem
from flows.servers.mlflow_pages import experiments_page
from flows.servers.parent_watch import SameFolder
from flows.servers.proxies import LOOPBACK, around_proxies
from flows.servers.recipe_watch import new_notes
from flows.servers.reconcile import ensure_slots, reconcile
from flows.servers.state import ServerError, read_state, write_state
from flows.servers.supervisor import Service, stop
from tasks.tracking.journal import is_abandoned, unsent

PREFECT_PORT = 4200
MLFLOW_PORT = 5000
MODELS_PORT = 8000
# How often to look for runs started in the UI; with Prefect's default of 10 s the button seems dead.
_POLL_SECONDS = 2
_RECONCILE_SECONDS = 5.0
_CHECK_SECONDS = 0.25

Echo = Callable[[str], None]


def up(
    recipe: str,
    *,
    host: str = LOOPBACK[0],
    prefect_port: int = PREFECT_PORT,
    mlflow_port: int = MLFLOW_PORT,
    models_port: int | None = None,
    home: Home | None = None,
    echo: Echo = print,
    serve: list[str] | None = None,
) -> int:
    """Start what is missing, print its address, and keep it alive until SIGINT or SIGTERM. Return the exit code.

    `recipe` is what the deployments run by default; it must have been checked. Servers that PREFECT_API_URL and
    MLFLOW_TRACKING_URI name are used instead of our own. A second `up` on the same home only prints the addresses of
    the first one. With `models_port`, the newest models of the lake are served there. `serve` is the command that
    serves the deployments, flows/run/deployments.py by default.
    Raises ServerError or HomeError, each with a sentence.
    """
    home = (home or Home.from_env()).ensure()
    serve = serve or [sys.executable, "-m", "flows.run.deployments", recipe]
    with locked(home.run / "start.lock", timeout=START_SECONDS):
        lock = try_lock(home.run / "up.lock")
        if lock is not None:
            was_killed = (home.run / "up.json").exists()  # its servers end within a second or two, and free the ports
            (home.run / "up.json").unlink(missing_ok=True)
    if lock is None:
        _tell_about_the_other(home, echo)
        return 0
    folder = SameFolder(home.run)
    try:
        with _stop_signals() as stopping:
            ports = _Ports(host, prefect_port, mlflow_port, models_port, patience=10.0 if was_killed else 0.0)
            return _run(home, folder, recipe, serve, ports, stopping, echo)
    finally:
        if folder.is_here():  # otherwise another `up` may have written its own state into a new home
            (home.run / "up.json").unlink(missing_ok=True)
        os.close(lock)


@dataclass(frozen=True)
class _Ports:
    """Where the servers listen, and how many seconds to wait for a port that is taken."""

    host: str
    prefect: int
    mlflow: int
    models: int | None
    patience: float


def _run(
    home: Home,
    folder: SameFolder,
    recipe: str,
    serve: list[str],
    ports: _Ports,
    stopping: threading.Event,
    echo: Echo,
) -> int:
    began = time.monotonic()
    if ports.host not in LOOPBACK:
        echo(f"Anybody who can reach {ports.host} can start runs here: neither server asks for a password.")
    os.environ.update(around_proxies(os.environ, ports.host))
    check_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI"))
    services: list[Service] = []
    api_url, tracking_uri = os.environ.get("PREFECT_API_URL"), os.environ.get("MLFLOW_TRACKING_URI")
    prefect_url = mlflow_url = None
    own_prefect = not api_url
    if not api_url:
        prefect_url, service = _server("prefect", home, ports, echo)
        api_url = f"{prefect_url}/api"
        services.append(service)
    if not tracking_uri:
        mlflow_url, service = _server("mlflow", home, ports, echo)
        tracking_uri = mlflow_url
        services.append(service)
    models_url = None
    if ports.models is not None:
        models_url, model_server = _model_server(home, ports, ports.models, echo)
        services += [model_server] if model_server else []
    environment = client_environment(home, api_url, tracking_uri)
    runner = _runner(home, serve, environment)
    correct = _Corrections(home, api_url, environment, own_server=own_prefect)
    try:
        for service in [*services, runner]:
            service.launch()
        _wait_until_all_work(home, [*services, runner], stopping)
        if stopping.is_set():
            return 0
        urls = {"prefect_url": prefect_url, "mlflow_url": mlflow_url, "models_url": models_url}
        write_state(home.run / "up.json", {"pid": os.getpid(), "recipe": recipe, **urls})
        echo(f"Prefect  {prefect_url or api_url}\nMLflow   {_experiments(mlflow_url or tracking_uri)}")
        if models_url:
            echo(f"Chat     {models_url}")
        echo(f"Ready after {time.monotonic() - began:.0f} s. Deployments run recipe {recipe}. Ctrl-C ends everything.")
        threading.Thread(target=correct.every, args=(_RECONCILE_SECONDS, stopping), daemon=True).start()
        seen = 0
        while not stopping.wait(_CHECK_SECONDS):
            said, seen = new_notes(home, runner.process.pid if runner.process else None, seen)
            for note in said:
                echo(note)
            if not folder.is_here():
                echo(f"The home {home.root} was deleted or moved away. Stopping.")
                return 1
            for service in [*services, runner]:
                if sentence := service.check():
                    echo(sentence)
        echo("Stopping.")
        stop([runner])
        correct.now("`textmill up` was stopped")
        return 0
    finally:
        stop([runner, *services])


class _Corrections:
    """Tells Prefect and MLflow about runs whose processes are gone.

    It never delays the supervision, which restarts the servers.
    """

    def __init__(self, home: Home, api_url: str, environment: dict[str, str], *, own_server: bool) -> None:
        self._home, self._health, self._own_server = home, f"{api_url}/health", own_server
        # By default Prefect's client waits for minutes for a server that is being restarted.
        self._environment = environment | {"PREFECT_API_REQUEST_TIMEOUT": "10", "PREFECT_CLIENT_MAX_RETRIES": "0"}

    def every(self, seconds: float, stopping: threading.Event) -> None:
        """Correct the states of runs, until `stopping` is set."""
        while not stopping.is_set():
            self.now()
            stopping.wait(seconds)

    def now(self, why: str = "its process is gone") -> None:
        """Correct them once. If a server does not respond, the next round, or the next `up`, will tell it."""
        if not is_up(self._health):
            return
        os.environ.update(self._environment)
        from prefect.client.orchestration import get_client  # only now, or it would compete with what is starting

        with contextlib.suppress(Exception), get_client(sync_client=True) as client:
            if self._own_server:  # on a shared server, limits are up to its owners
                ensure_slots(client, "gpu")
            reconcile(client, self._home, own_server=self._own_server, why=why)
        if any(map(is_abandoned, unsent(self._home.spool))):
            from tasks.tracking.watch import flush_spool

            flush_spool(self._home)


def _server(kind: Literal["prefect", "mlflow"], home: Home, ports: _Ports, echo: Echo) -> tuple[str, Service]:
    port = ports.prefect if kind == "prefect" else ports.mlflow
    listener = listen(ports.host, port, ports.patience)
    url = url_of(listener)
    if port not in (0, listener.getsockname()[1]):
        echo(f"Port {port} is taken by another program; {kind} gets {listener.getsockname()[1]}.")

    environ = dict(os.environ)  # the user's, before this process adds its own settings

    def start() -> subprocess.Popen[bytes]:
        return start_host(kind, home, listener, parent=os.getpid(), env=environ)

    health = f"{url}/api/health" if kind == "prefect" else f"{url}/health"
    name = "The Prefect server" if kind == "prefect" else "The MLflow server"
    return url, Service(name, start, lambda pid: is_up(health), home.logs / f"{kind}.log")


def _model_server(home: Home, ports: _Ports, port: int, echo: Echo) -> tuple[str | None, Service | None]:
    """The server of the lake's models; none where strangers could use them without a key."""
    try:
        check_guarded(ports.host, api_keys())
    except NotGuarded as error:
        echo(f"Models are not served. {error}")
        return None, None
    listener = listen(ports.host, port, ports.patience)
    url = url_of(listener)
    if port not in (0, listener.getsockname()[1]):
        echo(f"Port {port} is taken by another program; the model server gets {listener.getsockname()[1]}.")
    log, environ = home.logs / "models.log", dict(os.environ)
    command = [sys.executable, "-m", "flows.serving.host", "--home", str(home.root), "--parent", str(os.getpid())]

    def start() -> subprocess.Popen[bytes]:
        number = listener.fileno()
        return start_logged([*command, "--socket", str(number)], log, pass_fds=(number,), env=environ)

    return url, Service("The model server", start, lambda pid: is_up(f"{url}/page/icon.svg"), log)


def _runner(home: Home, serve: list[str], environment: dict[str, str]) -> Service:
    settings = dict(os.environ) | environment
    settings |= {
        "TEXTMILL_HOME": str(home.root),
        "PREFECT_RUNNER_POLL_FREQUENCY": str(_POLL_SECONDS),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",  # its console is a log file
    }
    log = home.logs / "runner.log"

    def start() -> subprocess.Popen[bytes]:
        return start_logged([*serve, "--parent", str(os.getpid())], log, env=settings)

    def works(pid: int) -> bool:
        return (read_state(home.run / "runner.json") or {}).get("pid") == pid

    return Service("The runner of the deployments", start, works, log)


def _wait_until_all_work(home: Home, services: list[Service], stopping: threading.Event) -> None:
    for service in services:
        works = functools.partial(_works_or, stopping, service)
        try:
            wait_until(works, service.has_ended, service.name, service.log, START_SECONDS, _CHECK_SECONDS)
        except ServerError as error:
            if problem := database_problem(home):
                raise ServerError(problem) from error
            raise


def _works_or(stopping: threading.Event, service: Service) -> bool:
    return stopping.is_set() or service.is_working()


def _tell_about_the_other(home: Home, echo: Echo) -> None:
    state = up_state(home)
    if state is None:
        echo(f"Another `textmill up` is just starting on {home.root}; it will print the addresses.")
        return
    echo(f"`textmill up` is already running on {home.root} (process {state['pid']}, recipe {state['recipe']}):")
    echo(f"Prefect  {state['prefect_url'] or os.environ.get('PREFECT_API_URL')}")
    echo(f"MLflow   {_experiments(state['mlflow_url'] or os.environ.get('MLFLOW_TRACKING_URI') or '')}")
    if state.get("models_url"):
        echo(f"Chat     {state['models_url']}")


def _experiments(uri: str) -> str:
    """Return the address of MLflow's experiments: its first page is about MLflow, and shows no run."""
    return experiments_page(uri) if uri.startswith("http") else uri


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP (a closed terminal) set instead of ending the process at once."""
    stopping = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
