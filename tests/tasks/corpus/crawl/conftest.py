"""A web site on loopback whose answers a test sets and which remembers what it was asked; and a frontier on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tasks.corpus.crawl.frontier import Frontier


@dataclass
class Answer:
    """What the site answers on a path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Site:
    """A running site. `pages` maps paths to an Answer or a function of the request's headers that makes one."""

    port: int
    pages: dict[str, Answer | Callable[[dict[str, str]], Answer]] = field(default_factory=dict)
    asked: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://site.test:{self.port}"

    @property
    def resolve(self) -> dict[str, tuple[str, ...]]:
        return {"site.test": (f"127.0.0.1:{self.port}",)}

    def page(self, path: str, *links: str, text: str = "", **headers: str) -> None:
        anchors = "".join(f'<a href="{link}">{link}</a> ' for link in links)
        body = f"<html><head><title>{path}</title></head><body><p>{text or 'Page ' + path}</p>{anchors}</body></html>"
        self.pages[path] = Answer(body.encode(), headers={"Content-Type": "text/html; charset=utf-8", **headers})

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait 40 ms for each other

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.asked.append((time.monotonic(), self.path, headers))
            answer = state.pages.get(self.path, Answer(b"gone", 404))
            if callable(answer):
                answer = answer(headers)
            time.sleep(answer.delay)
            self.send_response(answer.status)
            for name, value in {"Content-Type": "text/html", **answer.headers}.items():
                self.send_header(name, value)
            if answer.status != 304:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if answer.status != 304:
                self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state = Site(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def frontier(tmp_path: Path) -> Iterator[Frontier]:
    """An empty frontier on disk."""
    (tmp_path / "warc").mkdir()
    opened = Frontier(tmp_path / "frontier.sqlite", tmp_path / "warc")
    yield opened
    opened.close()
