"""The process in which `textmill up` serves models: `python -m flows.serving.host --home … --socket …`."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path

from data_lake.store.home import Home
from flows.servers.api_keys import api_keys
from flows.servers.parent_watch import end_with, end_with_folder
from flows.servers.proxies import around_proxies
from flows.serving.models import Settings
from flows.serving.server import Address, serve, votes_of

DRAIN_SECONDS = 2.0
"""`textmill up` waits no longer for what it started."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the process; the options are for up.py, not for users."""
    parser = argparse.ArgumentParser(prog="python -m flows.serving.host")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--parent", type=int, required=True, help="end with this process")
    options = parser.parse_args(arguments)
    os.environ.update(around_proxies(os.environ))
    end_with(options.parent)
    home = Home(options.home)
    end_with_folder(home.run)
    listener = socket.socket(fileno=options.socket)
    address = Address(listener.getsockname()[0], keys=api_keys())
    serve(None, listener, address, Settings(votes=votes_of(home)), home=home, drain_seconds=DRAIN_SECONDS)


if __name__ == "__main__":
    main()
