"""`textmill serve` as a process: it finds its models, guards itself, answers a real client, and ends in good order.

Also covers: flows/cli/serve.py
Also covers: flows/servers/api_keys.py
Also covers: flows/serving/host.py
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
from flows.servers.api_keys import NotGuarded, api_keys, check_guarded
from flows.servers.connect import listen, url_of
from flows.serving.server import Address, default_names, find_model
from tasks.training.trained import CHAT_TEMPLATE
from tests.flows.cli.untrained import untrained
from tests.lakes import commit
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
    assert "set TEXTMILL_API_KEY. Or say --unguarded" in said
    check_guarded("0.0.0.0", ["x"])
    check_guarded("0.0.0.0", [], unguarded=True)
    check_guarded("127.0.0.1", [])
    with pytest.raises(NotGuarded):
        check_guarded("10.0.0.1", api_keys({"TEXTMILL_API_KEY": " ,"}))
    assert api_keys({"TEXTMILL_API_KEY": " a, b ,"}) == ("a", "b")
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


def test_the_model_that_was_measured_to_answer_best_from_pages_comes_first(home: Path) -> None:
    lake = Lake(home / "lake")
    pretrained = untrained(home)
    described = (pretrained.path / "model.json").read_text()
    sft, grpo = (commit(lake, name, texts={"model.json": described}, kind="Model") for name in ("sft", "grpo"))
    assert default_names(Home(home))[0] == "pretrain", "the newest one"
    read = {"model": sft, "index": commit(lake, "index")}
    commit(lake, "ask", None, read, metrics={"exact": 0.5}, kind="Asked")
    assert sorted(default_names(Home(home))[1:]) == ["grpo", "pretrain"]
    assert default_names(Home(home))[0] == sft.stage != grpo.stage


def test_a_model_server_of_up_waits_for_a_model_and_ends_with_its_parent(home: Path) -> None:
    """What `textmill up` starts: it is there before the first model, and serves it as soon as it is made."""
    where = Home(home).ensure()
    listener = listen("127.0.0.1", 0)
    url = url_of(listener)
    code = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-m', 'flows.serving.host', '--home', "
        f"{str(home)!r}, '--socket', '{listener.fileno()}', '--parent', str(__import__('os').getpid())], "
        f"pass_fds=[{listener.fileno()}]); time.sleep(120)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], pass_fds=[listener.fileno()])
    try:
        listener.close()
        eventually(lambda: _answers(f"{url}/page/icon.svg"), 60, "the server answers")
        waiting = httpx.post(f"{url}/v1/completions", json={"prompt": "x"}, trust_env=False)
        assert (waiting.status_code, waiting.json()["error"]["code"]) == (503, "no_model")
        assert not _is_up(url)
        untrained(Path(where.root))
        eventually(lambda: _is_up(url), 60, "the model is served")
        assert httpx.get(f"{url}/v1/models", trust_env=False).json()["data"][0]["id"] == "pretrain"
    finally:
        parent.kill()
        parent.wait(10)
    eventually(lambda: not _answers(f"{url}/page/icon.svg"), 20, "it ends with its parent")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
