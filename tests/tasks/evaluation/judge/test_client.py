"""client.py, against real HTTP servers: retries, limits, broken answers, the key, and nothing asked twice.

Also covers: tasks/corpus/crawl/retry_after.py
"""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tasks.corpus.crawl.retry_after import retry_after
from tasks.evaluation.judge.client import MAX_BYTES, MAX_IN_A_ROW, Cache, Failure, JudgeClient, Words
from tasks.evaluation.judge.config import JudgeConfig
from tasks.stage import PermanentError
from tests.tasks.evaluation.judge.server import Judge, Play, completion, judging


def config_for(judge: Judge, **settings: Any) -> JudgeConfig:
    return JudgeConfig(**{"base_url": judge.url, "backoff_seconds": 0.01, "timeout_seconds": 5, **settings})


def ask(judge: Judge, folder: Path, prompts: list[str], **settings: Any) -> dict[str, Words | Failure]:
    client = JudgeClient(config_for(judge, **settings), Cache(folder / "kept.jsonl"))
    return client.ask(prompts, lambda done, total: None)


def test_a_request_says_all_that_shapes_the_answer_and_the_key_only_in_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "sk-secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nothing listens there
    with judging(lambda request, prompt: "85") as judge:
        found = ask(judge, tmp_path, ["How good?"], model="m", seed=7, max_tokens=9, api_key_variable="THE_KEY")
    assert found == {"How good?": Words("85")}
    assert judge.asked == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "How good?"}],
            "temperature": 0,
            "seed": 7,
            "max_tokens": 9,
        }
    ]
    assert judge.headers[0]["Authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in (tmp_path / "kept.jsonl").read_text()


def test_no_question_is_asked_twice_even_after_a_kill(tmp_path: Path) -> None:
    with judging(lambda request, prompt: prompt[-1]) as judge:
        ask(judge, tmp_path, ["q 1", "q 2", "q 1"])
        assert sorted(judge.prompts) == ["q 1", "q 2"]
        kept = tmp_path / "kept.jsonl"
        kept.write_bytes(kept.read_bytes()[:-5])  # killed in the middle of the last line
        lost = judge.prompts[-1]
        again = ask(judge, tmp_path, ["q 1", "q 2", "q 3"])
        assert sorted(judge.prompts[2:]) == sorted([lost, "q 3"])
        assert again == {f"q {n}": Words(str(n)) for n in (1, 2, 3)}
        assert ask(judge, tmp_path, ["q 1", "q 2", "q 3"]) == again
        assert len(judge.asked) == 4
        ask(judge, tmp_path, ["q 1"], seed=5)
        assert len(judge.asked) == 5, "another seed is another question"


def test_requests_at_the_same_time_are_bounded(tmp_path: Path) -> None:
    async def slow(request: web.Request, prompt: str) -> str:
        await asyncio.sleep(0.02)
        return prompt

    prompts = [str(n) for n in range(12)]
    with judging(slow) as judge:
        found = ask(judge, tmp_path, prompts, concurrency=3)
    assert {prompt: words.text for prompt, words in found.items() if isinstance(words, Words)} == dict(
        zip(prompts, prompts, strict=True)
    )
    assert judge.most == 3


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_a_busy_judge_is_asked_again(tmp_path: Path, status: int) -> None:
    seen: Counter[str] = Counter()

    def busy(request: web.Request, prompt: str) -> web.Response:
        seen[prompt] += 1
        return web.Response(status=status, headers={"Retry-After": "0"}) if seen[prompt] < 3 else completion("9")

    with judging(busy) as judge:
        assert ask(judge, tmp_path, ["a", "b"]) == {"a": Words("9"), "b": Words("9")}
    assert seen == {"a": 3, "b": 3}


def test_a_judge_is_left_alone_for_as_long_as_it_says(tmp_path: Path) -> None:
    times: list[float] = []

    def later(request: web.Request, prompt: str) -> web.Response:
        times.append(time.monotonic())
        return web.Response(status=429, headers={"Retry-After": "1"}) if len(times) == 1 else completion("9")

    with judging(later) as judge:
        ask(judge, tmp_path, ["a"])
    assert times[1] - times[0] >= 0.99


async def hang(request: web.Request, prompt: str) -> str:
    await asyncio.sleep(30)
    return "never"


async def drip(request: web.Request, prompt: str) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(300):
        await response.write(b" ")
        await asyncio.sleep(0.1)
    return response


def close(request: web.Request, prompt: str) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return completion("lost")


def text(text: str, **more: Any) -> Play:
    return lambda request, prompt: web.Response(text=text, **more)


BROKEN: dict[str, tuple[Play, str]] = {
    "hangs": (hang, "timeout"),
    "drips": (drip, "timeout"),
    "closes": (close, "connection"),
    "html": (text("<html>busy</html>", content_type="text/html"), "no JSON"),
    "nothing": (text(""), "no JSON"),
    "bytes": (lambda request, prompt: web.Response(body=b"\xff\xfe\x00"), "no JSON"),
    "deep": (text("[" * 100_000), "no JSON"),
    "list": (text("[]"), "no chat completion"),
    "no choice": (text('{"choices": []}'), "no chat completion"),
    "null": (text('{"choices": [null]}'), "no chat completion"),
    "number": (lambda request, prompt: completion(85), "no chat completion"),
    "huge": (lambda request, prompt: web.Response(body=b" " * (MAX_BYTES + 1)), "too long"),
    "broken": (text("{}", status=500), "status 500"),
    "refuses": (text('{"error": "too long"}', status=400), "status 400"),
    "elsewhere": (text("", status=307, headers={"Location": "http://127.0.0.1:9/"}), "status 307"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_answer_is_counted_by_its_reason(tmp_path: Path, name: str) -> None:
    play, reason = BROKEN[name]

    def sometimes(request: web.Request, prompt: str) -> Any:
        return completion("85") if prompt == "good" else play(request, prompt)

    with judging(sometimes) as judge:
        found = ask(judge, tmp_path, ["bad", "good"], retries=1, timeout_seconds=0.3)
        assert found["good"] == Words("85")
        assert isinstance(found["bad"], Failure)
        assert found["bad"].reason == reason
        tries = 1 if reason in ("too long", "status 400", "status 307") else 2
        assert judge.prompts.count("bad") == tries
        ask(judge, tmp_path, ["bad", "good"], retries=0, timeout_seconds=0.3)
        assert judge.prompts.count("bad") == tries + 1, "failures are not kept: they are asked again"


def test_words_may_come_in_parts_or_not_at_all_or_with_half_a_surrogate_pair(tmp_path: Path) -> None:
    said = {"parts": [{"type": "text", "text": "8"}, {"type": "text", "text": "5"}], "null": None, "half": "\ud800 5"}
    with judging(lambda request, prompt: completion(said[prompt], "length")) as judge:
        found = ask(judge, tmp_path, list(said))
        assert found == {
            "parts": Words("85", cut=True),
            "null": Words("", cut=True),
            "half": Words("\\ud800 5", cut=True),
        }
        assert ask(judge, tmp_path, list(said)) == found


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_judge_that_refuses_all_is_a_permanent_error_without_the_key(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "sk-secret")
    refuse = text("Incorrect API key: sk-secret", status=status)
    with (
        judging(refuse) as judge,
        pytest.raises(PermanentError, match=rf"status {status}: .*\*\*\*.*judge.base_url") as raised,
    ):
        ask(judge, tmp_path, [str(n) for n in range(50)], api_key_variable="THE_KEY")
    assert "sk-secret" not in str(raised.value)
    assert len(judge.asked) < 50


def test_a_judge_that_is_not_there_is_given_up_soon(tmp_path: Path) -> None:
    with judging(lambda request, prompt: "85") as judge:
        pass  # gone
    with pytest.raises(ConnectionError, match=f"none of {MAX_IN_A_ROW} questions in a row.*connection"):
        ask(judge, tmp_path, [str(n) for n in range(1000)], retries=0)


@pytest.mark.parametrize(("value", "words"), [(None, "does not have"), (" ", "does not have"), ("a\nb", "characters")])
def test_a_missing_or_broken_key_is_said(monkeypatch: pytest.MonkeyPatch, value: str | None, words: str) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("THE_KEY", value)
    with pytest.raises(PermanentError, match=f"THE_KEY.*{words}"):
        JudgeClient(JudgeConfig(api_key_variable="THE_KEY"), Cache(Path("nowhere")))


def test_retry_after_is_a_number_a_date_or_nothing() -> None:
    assert retry_after("7") == 7
    assert 50 < (retry_after(email.utils.formatdate(time.time() + 60)) or 0) <= 60
    assert retry_after(email.utils.formatdate(time.time() - 60)) == 0
    assert retry_after("soon") is retry_after(None) is None
