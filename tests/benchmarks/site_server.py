"""A web site to measure crawlers with: pages of realistic size and links from memory, by one quick process.

`python site_server.py PAGES` prints its port. GET /__stats answers {requests, first, last, bytes} since it was asked
before: how fast a crawler was is what the site saw of it, from its first request to its last.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

LINKS, WORDS, SECTIONS = 40, 2500, 20


def make_pages(count: int) -> dict[str, bytes]:
    """Return path → HTML: mean 26 kB, 40 links between pages and 20 to sections, words as frequent as in a language."""
    chance = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(5000)]
    menu = "".join(
        f'<li class="nav-item"><a class="nav-link" href="/section/{k}.html" title="Section {k}">Section {k}</a></li>\n'
        for k in range(SECTIONS)
    )
    pages = {}
    for number in range(count):
        paragraphs = []
        for paragraph in range(WORDS // 100):
            words = [vocabulary[min(int(chance.paretovariate(0.6)) - 1, 4999)] for _ in range(100)]
            for _ in range(LINKS * 100 // WORDS):
                target, place = chance.randrange(count), chance.randrange(100)
                words[place] = f'<a href="../page/{target}.html?part={target % 7}#s{place}">{words[place]}</a>'
            paragraphs.append(
                f'<div class="section" id="s{paragraph}"><h2>{" ".join(words[:3])}</h2>'
                f'<p class="text body">{" ".join(words)}</p></div>\n'
            )
        pages[f"/page/{number}.html?part={number % 7}"] = (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Page {number}</title>'
            f'<link rel="stylesheet" href="/s.css"><script>var page={{"n":{number}}};</script></head><body>'
            f"<ul>{menu}</ul>\n<h1>Page {number}</h1>{''.join(paragraphs)}"
            f'<footer><a rel="nofollow" href="/login">Log in</a></footer></body></html>'
        ).encode()
    index = "".join(f'<a href="/page/{n}.html?part={n % 7}">{n}</a>\n' for n in range(0, count, max(1, count // 50)))
    for path in ("/", *(f"/section/{k}.html" for k in range(SECTIONS))):
        pages[path] = f"<html><body><h1>{path}</h1>{index}</body></html>".encode()
    return pages


def answers(pages: dict[str, bytes]) -> dict[str, bytes]:
    """Return path → whole HTTP answer."""
    head = "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nServer: bench\r\nCache-Control: max-age=60\r\n"
    found = {
        path: f'{head}Content-Type: text/html; charset=utf-8\r\nETag: "{len(body)}"\r\n'
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for path, body in pages.items()
    }
    robots = b"User-agent: *\nDisallow: /login\n"
    found["/robots.txt"] = f"{head}Content-Type: text/plain\r\nContent-Length: {len(robots)}\r\n\r\n".encode() + robots
    return found


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are told apart by the empty line behind their headers."""

    answers: dict[str, bytes]
    stats: dict[str, float]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._heard = transport, b""

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while b"\r\n\r\n" in self._heard:
            head, _, self._heard = self._heard.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            if path == "/__stats":
                body = json.dumps(self.stats).encode()
                self.stats.clear()
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                continue
            answer = self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            now, stats = time.monotonic(), self.stats
            stats["requests"] = stats.get("requests", 0) + 1
            stats["bytes"] = stats.get("bytes", 0) + len(answer)
            stats.setdefault("first", now)
            stats["last"] = now
            self._transport.write(answer)


async def serve(pages: int) -> None:
    """Serve until killed."""
    Connection.answers, Connection.stats = answers(make_pages(pages)), {}
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
