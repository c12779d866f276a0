"""flows/serving/texts.py: a request that has ended leaves nothing in memory, whatever its answer was."""

from __future__ import annotations

import collections
import gc
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.flows.serving.conftest import CONTEXT, Living
from tests.live_up import eventually

REQUESTS = 10


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"stream": True}, 200),
        ({"n": 2, "echo": True, "logprobs": 1}, 200),
        ({"prompt": "x" * CONTEXT}, 400),
    ],
    ids=["text", "stream", "echo", "refused"],
)
def test_what_a_request_leaves_is_freed_at_once(idle: Living, fields: dict[str, Any], status: int) -> None:
    """Python looks for objects that hold each other when a quarter of all objects is new: after thousands of requests
    in a process with torch in it.
    """
    body = json.dumps({"model": "base", "prompt": "hello", "max_tokens": 3, **fields})
    connection = http.client.HTTPConnection(urlsplit(idle.url).netloc, timeout=60)  # httpx makes circles of its own

    def ask() -> None:
        connection.request("POST", "/v1/completions", body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status

    def running() -> int:
        return sum(one.engine.load.running + one.engine.load.waiting for one in idle.models)

    ask()  # what is made only once
    gc.disable()
    gc.collect()
    gc.freeze()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(REQUESTS):
            ask()
        eventually(lambda: running() == 0, 20, "the texts have ended")
        gc.collect()
        kinds = collections.Counter(type(one).__qualname__ for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()
        connection.close()
    assert not {kind: count for kind, count in kinds.items() if count >= REQUESTS}
