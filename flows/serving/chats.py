"""POST /v1/chat/completions: answers to a conversation."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from flows.serving.completions import wanted_of
from flows.serving.events import DONE, event
from flows.serving.log_probs import chat_log_probs
from flows.serving.metrics import Metrics
from flows.serving.schemas import ChatBody
from flows.serving.sources import Sources, text_of, told
from flows.serving.texts import Choice, Said, Texts, finish_reason, new_tokens, too_many
from tasks.delivery.serving.engine import Piece
from tasks.delivery.serving.served import Message, Served
from tasks.retrieval.asking import NO_PAGE
from tasks.retrieval.index.search import Passage


class Chat:
    """One request: its conversation in tokens, its answers, and their two forms."""

    def __init__(self, served: Served, body: ChatBody, metrics: Metrics, sources: Sources) -> None:
        self.served, self.body, self._metrics, self._sources = served, body, metrics, sources
        self._passages: list[Passage] = []
        self._texts: Texts
        self._id, self._created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        # one at least, so that the likeliest token can be shown beside the one that was drawn
        self._top = (body.top_logprobs or 0) if body.logprobs else 0

    async def start(self) -> None:
        """Queue the answers; if pages are asked for and none matches, no model is."""
        body, messages = self.body, messages_of(self.body)
        prompt = await asyncio.to_thread(self.served.chat_ids, messages)
        too_many(self.served, 1, body.n or 1)
        asked = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
        if body.textmill_sources:
            self._passages = await self._sources.passages(self.served, messages, body.textmill_sources, asked)
            if not self._passages:
                self._texts = Said(self.served, wanted_of(body, 0, 0), self._metrics, NO_PAGE)
                return
            prompt = await asyncio.to_thread(self.served.chat_ids, messages, text_of(self._passages))
        most = new_tokens(asked, None, prompt, self.served.context)
        self._texts = Texts(
            self.served, [prompt], wanted_of(body, most, self._top), self._metrics, answers=True,
            stream=bool(body.stream),
        )  # fmt: skip
        self._texts.start()

    async def whole(self) -> dict[str, Any]:
        """Return the finished answer."""
        choices = await self._texts.whole()
        return {
            **self._head("chat.completion"),
            "choices": [self._choice(number, one) for number, one in enumerate(choices)],
            "usage": self._texts.usage,
            **self._told([one.text for one in choices]),
        }

    def _told(self, answers: list[str]) -> dict[str, Any]:
        """Return the pages that the answers come from, if they were asked for."""
        return {"textmill_sources": told(self._passages, answers)} if self.body.textmill_sources else {}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self.served.name}

    def _choice(self, number: int, one: Choice) -> dict[str, Any]:
        message = {"role": "assistant", "content": one.text, "refusal": None}
        return {"index": number, "message": message, "logprobs": self._scores(one), "finish_reason": one.finish}

    def _scores(self, one: Choice | Piece) -> dict[str, Any] | None:
        if not self.body.logprobs:
            return None
        return {"content": chat_log_probs(self.served, one.ids, one.log_probs, one.top, self._top), "refusal": None}

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the answer in pieces: the role, the text, one last chunk for each choice, and the usage if wanted.

        The pages that it comes from are in the last of the chunks that end a choice.
        """
        extra = {"usage": None} if self.body.wants_usage else {}
        answers, ended = [""] * self._texts.wanted.n, 0

        def chunk(
            index: int, delta: dict[str, Any], scores: dict[str, Any] | None, finish: str | None, **more: Any
        ) -> bytes:
            choice = {"index": index, "delta": delta, "logprobs": scores, "finish_reason": finish}
            return event({**self._head("chat.completion.chunk"), "choices": [choice], **extra, **more})

        for number in range(len(answers)):
            yield chunk(number, {"role": "assistant", "content": ""}, None, None)
        async for piece in self._texts.pieces():
            scores = self._scores(piece) if piece.ids else None
            answers[piece.choice] += piece.text
            if piece.text or scores:
                yield chunk(piece.choice, {"content": piece.text}, scores, None)
            if piece.finish:
                ended += 1
                more = self._told(answers) if ended == len(answers) else {}
                yield chunk(piece.choice, {}, None, finish_reason(piece), **more)
        if self.body.wants_usage:
            yield event({**self._head("chat.completion.chunk"), "choices": [], "usage": self._texts.usage})
        yield DONE


def messages_of(body: ChatBody) -> list[Message]:
    """Return the conversation; a developer's message is what was called the system's before."""
    return [Message("system" if one.role == "developer" else one.role, one.text) for one in body.messages]
