"""Clients that people have already work unchanged: OpenAI's, asynchronous, and LangChain's."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.flows.serving.conftest import Living

ASKED = {"messages": [{"role": "user", "content": "Say something."}], "temperature": 0, "max_tokens": 12}


def answer_of(server: Living, **fields: object) -> str:
    reply = server.client.post("/v1/chat/completions", json={**ASKED, "model": "chat", **fields}).json()
    text = reply["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def test_openais_asynchronous_client(server: Living) -> None:
    openai = pytest.importorskip("openai")
    seeds = range(6)
    expected = [answer_of(server, temperature=1, seed=seed) for seed in seeds]

    async def ask() -> tuple[list[str], str, int]:
        own = httpx.AsyncClient(trust_env=False)
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", http_client=own) as client:

            async def one(seed: int) -> str:
                made = await client.chat.completions.create(
                    **{**ASKED, "model": "chat", "temperature": 1, "seed": seed}
                )
                return str(made.choices[0].message.content)

            answers = await asyncio.gather(*map(one, seeds))
            stream = await client.chat.completions.create(
                **ASKED, model="chat", stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        return answers, text, chunks[-1].usage.completion_tokens

    answers, streamed, tokens = asyncio.run(ask())
    assert answers == expected
    assert streamed == answer_of(server)
    assert tokens == 12


def test_langchains_client(server: Living) -> None:
    langchain = pytest.importorskip("langchain_openai")
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    chat = langchain.ChatOpenAI(
        model="chat", base_url=f"{server.url}/v1", api_key="none", temperature=0, max_tokens=12, logprobs=True,
        http_client=httpx.Client(trust_env=False), http_async_client=httpx.AsyncClient(trust_env=False),
    )  # fmt: skip
    made = chat.invoke("Say something.")
    assert made.content == answer_of(server)
    assert made.usage_metadata["output_tokens"] == 12
    assert made.response_metadata["finish_reason"] == "length"
    assert len(made.response_metadata["logprobs"]["content"]) == 12
    assert "".join(str(chunk.content) for chunk in chat.stream("Say something.")) == made.content
    several = chat.batch(["Say something.", "Say more."])
    assert several[0].content == made.content
    assert asyncio.run(chat.ainvoke("Say something.")).content == made.content
    talk = [SystemMessage("Be short."), HumanMessage("Hello"), AIMessage("Hi"), HumanMessage("Say something.")]
    assert isinstance(chat.invoke(talk).content, str)


def test_a_body_is_json_whatever_curl_calls_it(server: Living) -> None:
    """`curl -d '{"prompt": "x"}'` says that it is a form."""
    body = json.dumps({"model": "base", "prompt": "x", "max_tokens": 1})
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"):
        answer = server.client.post("/v1/completions", content=body, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text


def test_head_is_answered_as_get_without_a_body(server: Living) -> None:
    """Load balancers and `curl -I` ask so."""
    for path in ("/", "/health", "/v1/models"):
        answer, whole = server.client.head(path), server.client.get(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(len(whole.content))
    assert server.client.head("/v1/completions").status_code == 405
