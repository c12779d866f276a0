"""sources.py: a request that asks for pages is answered from them, and the answer names them; others are as ever."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from data_lake.store.lake import Artifact
from flows.serving.sources import Sources, told
from model.chat import prompt_ids
from tasks.retrieval.index.search import Search
from tests.flows.serving.conftest import CONTEXT, Living, load
from tests.tasks.retrieval.lakes import PAGES

QUESTION = "Why does the river push the wheel?"


def body(wanted: Any = True, **more: Any) -> dict[str, Any]:
    asked = [{"role": "user", "content": QUESTION}]
    return {"model": "chat", "messages": asked, "temperature": 0, "max_tokens": 5, "textmill_sources": wanted, **more}


def asked(server: Living, *arguments: Any, status: int = 200, **more: Any) -> Any:
    answer = server.client.post("/v1/chat/completions", json=body(*arguments, **more))
    assert answer.status_code == status, answer.text
    return answer.json()


def test_an_answer_names_the_passages_that_the_model_read(server: Living, pages: Artifact) -> None:
    answer = asked(server, 1)
    (source,) = answer["textmill_sources"]
    assert (source["url"], source["date"], source["fetched_at"][:10]) == (
        "http://example.org/mill",
        "2024-05",
        "2026-01-02",
    )
    assert PAGES["mill"][source["start"] : source["end"]] == source["text"]
    served = server.models.get("chat")
    prompt = prompt_ids(served.tokenizer, QUESTION, source["text"].strip(), template=served.template)
    assert answer["usage"]["prompt_tokens"] == len(prompt)
    assert server.client.get("/v1/models").json()["textmill_index"] == pages.name


@pytest.mark.parametrize("wanted", [None, False, 0])
def test_who_does_not_ask_for_pages_gets_an_answer_as_ever(server: Living, wanted: Any) -> None:
    answer = asked(server, wanted)
    assert "textmill_sources" not in answer
    plain = {name: value for name, value in body().items() if name != "textmill_sources"}
    assert answer["choices"] == server.client.post("/v1/chat/completions", json=plain).json()["choices"]


@pytest.mark.parametrize("wanted", [-1, 101, "yes", 1.5, [3]])
def test_a_wrong_number_of_pages_is_refused(server: Living, wanted: Any) -> None:
    assert asked(server, wanted, status=400)["error"]["param"].startswith("textmill_sources")


def test_a_question_that_no_page_matches_is_not_answered(server: Living) -> None:
    unknown = [{"role": "user", "content": "What does photosynthesis do?"}]
    answer = asked(server, messages=unknown, n=2, logprobs=True)
    assert answer["textmill_sources"] == []
    assert [one["message"]["content"] for one in answer["choices"]] == ["No page matches the question."] * 2
    assert [one["finish_reason"] for one in answer["choices"]] == ["stop", "stop"]
    assert answer["usage"]["completion_tokens"] == 0
    chunks = streamed(server, messages=unknown)
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks) == "No page matches the question."
    assert chunks[-1]["textmill_sources"] == []


def streamed(server: Living, **more: Any) -> list[dict[str, Any]]:
    text = server.client.post("/v1/chat/completions", json=body(stream=True, **more)).text
    events = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def test_a_stream_ends_with_the_passages(server: Living) -> None:
    chunks = streamed(server, n=2, stream_options={"include_usage": True})
    having = [number for number, one in enumerate(chunks) if "textmill_sources" in one]
    assert having == [len(chunks) - 2], "in the last chunk that ends a choice; the usage comes behind it"
    assert chunks[-2]["choices"][0]["finish_reason"] in ("stop", "length")
    assert chunks[-2]["textmill_sources"] == asked(server, n=2)["textmill_sources"]


def test_openais_client_works_unchanged(server: Living) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none")
    messages: Any = [{"role": "user", "content": QUESTION}]
    answer = client.chat.completions.create(
        model="chat", messages=messages, max_tokens=5, temperature=0, extra_body={"textmill_sources": True}
    )
    assert answer.textmill_sources[0]["title"] == "About: mill"  # type: ignore[attr-defined]
    stream = client.chat.completions.create(
        model="chat", messages=messages, max_tokens=5, temperature=0, stream=True, extra_body={"textmill_sources": 1}
    )
    *_, last = list(stream)
    assert [one["title"] for one in last.textmill_sources] == ["About: mill"]  # type: ignore[attr-defined]


def test_passages_fit_beside_the_conversation(server: Living) -> None:
    long = "The river. " * ((CONTEXT - 120) // 11)
    assert len(asked(server, messages=[{"role": "user", "content": long}])["textmill_sources"]) == 1
    full = "The river. " * ((CONTEXT - 20) // 11) + "the the the "
    error = asked(server, messages=[{"role": "user", "content": full}], status=400)["error"]
    assert error["code"] == "context_length_exceeded"
    assert "leaves no room for a passage" in error["message"]


def test_an_answer_that_stands_in_a_passage_is_said_to(pages: Artifact) -> None:
    found = Search(pages.path).find(QUESTION, 2)
    answers = ["The wheel turns\nbecause the river", "I do not know.", "", "river pushes its paddles."]
    assert told(found, answers)[0]["quoted_in"] == [0, 3]


def test_a_newer_index_takes_over_and_a_broken_one_does_not(
    artifacts: dict[str, Artifact], pages: Artifact, tmp_path: Any
) -> None:
    newest: list[Artifact | None] = [None]
    sources = Sources(lambda: newest[0])
    assert sources.refresh() == []
    assert sources.name is None
    newest[0] = pages
    assert sources.refresh() == [f"Questions are looked for in {pages.name}."]
    assert sources.refresh() == []
    newest[0] = artifacts["chat"]
    assert "cannot be searched" in sources.refresh()[0]
    assert sources.refresh() == [], "it is said once"
    assert sources.name == pages.name


async def nothing_without_an_index(served: Any) -> str:
    from flows.serving.errors import ApiError
    from tasks.delivery.serving.served import Message

    with pytest.raises(ApiError) as refused:
        await Sources(lambda: None).passages(served, [Message("user", "mill")], True, 5)
    return str(refused.value.body["error"]["code"])


def test_without_an_index_it_is_said_that_there_is_none(artifacts: dict[str, Artifact]) -> None:
    import asyncio

    served = load(artifacts["chat"], "chat")
    try:
        assert asyncio.run(nothing_without_an_index(served)) == "no_index"
    finally:
        served.engine.close(1)
