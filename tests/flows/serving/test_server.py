"""`textmill serve` as a process: it finds its models, guards itself, answers a real client, and ends in good order.

Also covers: flows/cli/serve.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Lake
from flows.serving.server import Address, NotGuarded, check_guarded, default_names, find_model, keys_of
from tasks.training.trained import CHAT_TEMPLATE
from tests.flows.cli.untrained import untrained
from tests.live_up import eventually
from tests.terminal import textmill

KEY = "sk-secret"


@pytest.fixture
def process(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    untrained(home, CHAT_TEMPLATE, context=2048)
    command = [sys.executable, "-m", "flows.cli.entry", "serve", "--port", "0", "--device", "cpu", "--drain", "20"]
    environment = os.environ | {"TEXTMILL_HOME": str(home), "TEXTMILL_API_KEY": KEY, "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert started.stderr is not None
    said = started.stderr.readline()
    url = said.split(" at ")[1].strip().removesuffix("/v1")
    yield url, started
    if started.poll() is None:
        started.kill()
    started.wait(10)
    started.stderr.close()


def test_it_answers_openais_client_and_ends_texts_before_it_ends_itself(
    process: tuple[str, subprocess.Popen[str]],
) -> None:
    openai = pytest.importorskip("openai")
    url, started = process
    eventually(lambda: _is_up(url), 60, "the server answers")
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, http_client=httpx.Client(trust_env=False)) as client:
        assert [one.id for one in client.models.list()] == ["pretrain"]
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="no", messages=[{"role": "user", "content": "x"}])
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").models.list()
        stream = client.chat.completions.create(
            model="pretrain", messages=[{"role": "user", "content": "x"}], stream=True, temperature=0, max_tokens=1500
        )
        next(iter(stream))
        started.send_signal(signal.SIGTERM)
        chunks = list(stream)
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"
    assert started.wait(30) == 0
    assert started.stderr is not None
    assert KEY not in started.stderr.read()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_beyond_this_machine_it_needs_a_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXTMILL_API_KEY", raising=False)
    assert "has no model yet" in " ".join(textmill("serve", code=2).split())
    untrained(home)
    said = " ".join(textmill("serve", "--host", "0.0.0.0", code=2).split())
    assert "set TEXTMILL_API_KEY, or say --unguarded" in said
    check_guarded(Address("0.0.0.0", keys=("x",)))
    check_guarded(Address("0.0.0.0", unguarded=True))
    check_guarded(Address("127.0.0.1"))
    with pytest.raises(NotGuarded):
        check_guarded(Address("10.0.0.1"))
    assert keys_of({"TEXTMILL_API_KEY": " a, b ,"}) == ("a", "b")
    assert "sk" not in repr(Address(keys=("sk",)))


def test_names_are_those_of_models_that_write_texts(home: Path) -> None:
    untrained(home, network="encoder")
    where = Home(home)
    assert default_names(where) == []
    assert find_model(where, "pretrain") is None
    made = untrained(home)
    assert default_names(where) == ["pretrain"]
    assert find_model(where, "pretrain") == made
    assert find_model(where, made.name) == made
    assert find_model(where, "sft") is None
    assert len(Lake(where.lake).artifacts()) == 2
