"""Finds the Prefect and MLflow servers of a home, or starts what is missing: what `textmill run` connects to.

The order is: what the user's environment names; else the servers of a running `textmill up`; else an embedded Prefect
server, one for all runs on this home, and MLflow's database without a server. Whether a server is running is known from
a lock, which the kernel releases when the process dies; a file or a process id would outlive a kill -9.
"""

import contextlib
import errno
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from data_lake.store.home import Home
from data_lake.store.locks import locked, try_lock
from flows.servers.databases import check_tracking_uri, database_problem
from flows.servers.environment import privacy
from flows.servers.mlflow_db import init_mlflow
from flows.servers.proxies import LOOPBACK, around_proxies, opener_of
from flows.servers.state import ServerError, living_state, read_state, write_state

# A fresh database takes 9 s on two free cores; a loaded machine takes several times that.
START_SECONDS = 120.0
_POLL_SECONDS = 0.05
_LOG_BYTES = 4_000_000


@dataclass
class Connection:
    """The servers that a run talks to. Keep it for as long as they are needed: it keeps an embedded server alive."""

    home: Home
    api_url: str  # of Prefect, ends in /api
    tracking_uri: str  # of MLflow
    origin: Literal["user", "up", "embedded"]  # whose Prefect server it is
    ui_url: str | None  # Prefect's pages; None if only the user knows
    mlflow_url: str | None  # MLflow's pages; None without an MLflow server
    _held: list[int] = field(default_factory=list, repr=False)  # locks
    _mlflow_ready: "Future[None] | None" = field(default=None, repr=False)

    def apply(self) -> None:
        """Point this process to the servers. Call it before prefect and mlflow are imported."""
        os.environ.update(around_proxies(os.environ, self.ui_url))
        os.environ.update(client_environment(self.home, self.api_url, self.tracking_uri))
        # Prefect's background senders warn at exit that they are still sending, which is what the exit waits for.
        for sender in ("EventsWorker", "APILogWorker"):
            logging.getLogger(sender).setLevel(logging.ERROR)

    def wait(self, timeout: float = START_SECONDS) -> None:
        """Return as soon as both servers can be used; raise ServerError, a sentence, if one cannot."""
        if self.origin != "user":
            _wait_for_prefect(self, timeout)
        elif not is_up(f"{self.api_url}/health"):
            raise ServerError(
                f"No Prefect server answers at PREFECT_API_URL={self.api_url}: start it, correct the address, or unset "
                "the variable to let textmill start its own."
            )
        if self._mlflow_ready is not None:
            self._mlflow_ready.result()

    @contextmanager
    def quick_flows(self) -> Iterator[None]:
        """Flow runs inside send no heartbeats, as each would wait one second at its end for the heartbeat thread.

        On textmill's own servers the lock of flows/servers/reconcile.py shows at once that a run was killed. On a
        user's server, automations may listen to heartbeats. An environment variable cannot be set to None.
        """
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        with contextlib.ExitStack() as stack:
            if self.origin != "user":
                stack.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
            yield

    def close(self) -> None:
        """Release the servers: an embedded one without other clients ends within a few seconds."""
        while self._held:
            os.close(self._held.pop())


def connect(home: Home, environ: Mapping[str, str] | None = None) -> Connection:
    """The servers of this home; missing ones are being started, and `Connection.wait` returns once they can be used.

    It returns at once, so that the caller can import prefect while the server starts. `environ` is the user's
    environment, os.environ by default.
    """
    environ = os.environ if environ is None else environ
    check_tracking_uri(environ.get("MLFLOW_TRACKING_URI"))
    up = up_state(home) or {}
    tracking_uri = environ.get("MLFLOW_TRACKING_URI") or up.get("mlflow_url") or home.mlflow_uri
    mlflow_url = tracking_uri if tracking_uri.startswith("http") else None
    if users := environ.get("PREFECT_API_URL"):
        connection = Connection(home, users.rstrip("/"), tracking_uri, "user", None, mlflow_url)
    elif url := up.get("prefect_url"):
        connection = Connection(home, f"{url}/api", tracking_uri, "up", url, mlflow_url)
    else:
        # The client's lock comes first: a server that ends because it has no clients holds it until it is gone.
        client = _shared(home.run / "clients.lock", START_SECONDS)
        try:
            url = _embedded(home)
        except BaseException:
            os.close(client)
            raise
        connection = Connection(home, f"{url}/api", tracking_uri, "embedded", url, mlflow_url, [client])
    if tracking_uri == home.mlflow_uri:
        connection._mlflow_ready = _in_background(init_mlflow, home)
    return connection


def client_environment(home: Home, api_url: str, tracking_uri: str) -> dict[str, str]:
    """Settings of a process that runs flows: where the servers are, how to reach them, no noise on the terminal."""
    settings = privacy() | around_proxies(os.environ)
    return settings | {
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str(home.prefect),
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # Otherwise MLflow creates a folder ./mlruns wherever it opens the database.
        "_MLFLOW_SERVER_ARTIFACT_ROOT": home.mlartifacts.as_uri(),
        # The full logs of runs, with tracebacks, go to the server; the terminal shows the CLI's own sentences.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # The lowest that Prefect accepts.
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # The default is pickle, which executes code when it is loaded.
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "GIT_PYTHON_REFRESH": "quiet",
    }


def up_state(home: Home) -> dict[str, Any] | None:
    """The state of a running `textmill up` of this home: prefect_url, mlflow_url, pid, recipe; None if none runs."""
    return living_state(home, "up")


def is_up(url: str, timeout: float = 2.0) -> bool:
    """Whether a GET of `url` succeeds."""
    try:
        with opener_of(url).open(url, timeout=timeout) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):  # refused, reset, not HTTP, HTTP errors (URLError is an OSError)
        return False


def listen(host: str, port: int, patience: float = 0.0) -> socket.socket:
    """A listening socket on `port`, or on a free port if another program has that one. Port 0 means a free one.

    Waits up to `patience` seconds for `port`. Raises ServerError if it is not possible to listen on the host.
    """
    give_up = time.monotonic() + patience
    while True:
        try:
            return _bound(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < give_up:
                time.sleep(_POLL_SECONDS)
            elif port != 0 and error.errno in (errno.EADDRINUSE, errno.EACCES):
                port = 0
            else:
                raise ServerError(f"Cannot listen on {host} port {port}: {error.strerror or error}.") from error


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # So that a server can take over the port of its predecessor at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The http://host:port of a listening socket, with a host that a browser on this machine can open."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = LOOPBACK[0]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def start_host(
    kind: Literal["prefect", "mlflow"],
    home: Home,
    listener: socket.socket,
    *,
    parent: int | None = None,
    keep: tuple[int, ...] = (),
    env: dict[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a server process on `listener`, in its own session, so that Ctrl-C does not reach it.

    With `parent` it ends with that process, otherwise when no client is left. `keep` are file descriptors (locks) that
    it inherits. Its output goes to logs/<kind>.log.
    """
    command = [sys.executable, "-m", "flows.servers.host", kind, "--home", str(home.root)]
    command += ["--socket", str(listener.fileno())]
    if parent is not None:
        command += ["--parent", str(parent)]
    return start_logged(command, home.logs / f"{kind}.log", pass_fds=(listener.fileno(), *keep), env=env)


def start_logged(
    command: list[str], log: Path, *, pass_fds: tuple[int, ...] = (), env: dict[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a background process that appends its output to `log` (a large log is first kept as `.old.log`)."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            env=env,
        )


def last_line(log: Path) -> str:
    """The last line in the log of a background process, for a sentence about its end."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(errors="replace")[-10_000:].splitlines() if line.strip()]
        return lines[-1].strip() if lines else "nothing"
    return "nothing"


def _embedded(home: Home) -> str:
    """The URL of the home's embedded Prefect server, which is started if none is running."""
    with locked(home.run / "start.lock", timeout=START_SECONDS):
        lock = try_lock(home.run / "embedded.lock")
        if lock is None:
            state = read_state(home.run / "embedded.json")
            assert state is not None, "the state is written before its server can be seen to hold the lock"
            return str(state["url"])
        try:
            listener = listen(LOOPBACK[0], 0)
            url = url_of(listener)
            write_state(home.run / "embedded.json", {"url": url})
            start_host("prefect", home, listener, keep=(lock,))
            listener.close()
        finally:
            os.close(lock)  # the server has it now
        return url


def _wait_for_prefect(connection: Connection, timeout: float) -> None:
    name = "up" if connection.origin == "up" else "embedded"
    try:
        wait_until(
            lambda: is_up(f"{connection.api_url}/health"),
            lambda: living_state(connection.home, name) is None,
            f"Prefect's server at {connection.api_url}",
            connection.home.logs / "prefect.log",
            timeout,
            _POLL_SECONDS,
        )
    except ServerError as error:
        if problem := database_problem(connection.home):
            raise ServerError(problem) from error
        raise


def wait_until(
    works: Callable[[], bool], has_ended: Callable[[], bool], name: str, log: Path, timeout: float, poll: float
) -> None:
    """Wait until a server works. Raises ServerError, with the last line of its log, if it ends or takes too long."""
    give_up = time.monotonic() + timeout
    while not works():
        if has_ended():
            raise ServerError(f"{name} did not start. The last line of {log}: {last_line(log)}")
        if time.monotonic() > give_up:
            raise ServerError(
                f"{name} was not ready within {timeout:g} seconds. The last line of {log}: {last_line(log)}"
            )
        time.sleep(poll)


def _in_background(function: Callable[[Home], None], home: Home) -> "Future[None]":
    pool = ThreadPoolExecutor(max_workers=1)
    future = pool.submit(function, home)
    pool.shutdown(wait=False)
    return future


def _shared(path: Path, timeout: float) -> int:
    give_up = time.monotonic() + timeout
    while (descriptor := try_lock(path, shared=True)) is None:
        if time.monotonic() > give_up:
            raise ServerError(f"The previous Prefect server still holds {path} after {timeout:g} seconds; end it.")
        time.sleep(_POLL_SECONDS)
    return descriptor
