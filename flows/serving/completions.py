"""POST /v1/completions: texts that go on from prompts, with the prompts' own log-probabilities if asked for."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from flows.serving.errors import ApiError
from flows.serving.events import DONE, event
from flows.serving.log_probs import completion_log_probs
from flows.serving.metrics import Metrics
from flows.serving.schemas import CompletionBody, Sampled
from flows.serving.texts import Choice, Texts, finish_reason, new_tokens, too_many
from tasks.delivery.serving.served import Served, Wanted

DEFAULT_TOKENS = 16  # OpenAI's


def wanted_of(body: Sampled, max_tokens: int, top: int) -> Wanted:
    """Return the sampling that a body asks for; what it leaves out is OpenAI's default, the seed a random one."""
    return Wanted(
        max_tokens=max_tokens,
        n=body.n or 1,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=max(0, body.top_k or 0),
        min_p=body.min_p or 0.0,
        repetition_penalty=1.0 if body.repetition_penalty is None else body.repetition_penalty,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        logit_bias=body.biases,
        stop=body.stops,
        seed=secrets.randbits(48) if body.seed is None else body.seed,
        top=top,
    )


class Completion:
    """One request: its prompts in tokens, its texts, and the answer in either form."""

    def __init__(self, served: Served, body: CompletionBody, metrics: Metrics) -> None:
        self.served, self.body, self._metrics = served, body, metrics
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time()),
            "model": served.name,
        }  # fmt: skip
        self._top = body.logprobs or 0

    async def start(self) -> None:
        """Queue the texts, and score the prompts if they are echoed with log-probabilities."""
        body, served = self.body, self.served
        prompts = await asyncio.to_thread(self._prompts)
        for number, prompt in enumerate(prompts):
            if not prompt:
                which = f"prompt {number + 1}" if len(prompts) > 1 else "the prompt"
                raise ApiError(
                    400, f"{which} is empty, and this model has no token to begin a text with", param="prompt"
                )
        too_many(served, len(prompts), body.n or 1)
        most = max(new_tokens(body.max_tokens, DEFAULT_TOKENS, prompt, served.context) for prompt in prompts)
        self._texts = Texts(
            served, prompts, wanted_of(body, most, self._top), self._metrics, answers=False, stream=bool(body.stream)
        )
        self._texts.start()
        try:
            self._echoed = await self._echoes() if body.echo else []
        except BaseException:
            self._texts.cancel()
            raise

    def _prompts(self) -> list[Sequence[int]]:
        """Return the prompts in tokens. Texts begin with <|bos|> as in training; ids are taken as they are."""
        given = self.body.prompt
        many: Sequence[Any] = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        return [self.served.text_ids(one) if isinstance(one, str) else one for one in many]

    async def _echoes(self) -> list[tuple[str, dict[str, Any] | None]]:
        """Return text and log-probabilities of each prompt."""
        echoes = []
        for ids in self._texts.prompts:
            shown, found = self._shown(ids), None
            if self.body.logprobs is not None:
                scores = await asyncio.wrap_future(self.served.scored(ids, self._top))
                found = completion_log_probs(self.served, ids, scores.log_probs, scores.top)
                if shown is not ids:  # the <|bos|> that the server put before a text is no part of it
                    found = {name: values[1:] if values is not None else None for name, values in found.items()}
                    begin = found["text_offset"][0] if found["text_offset"] else 0
                    found["text_offset"] = [at - begin for at in found["text_offset"]]
            echoes.append((self.served.decode(shown), found))
        return echoes

    def _shown(self, ids: Sequence[int]) -> Sequence[int]:
        given = self.body.prompt
        is_text = isinstance(given, str) or isinstance(given[0], str)
        return ids[1:] if is_text and ids[0] in self.served.special_names.values() else ids

    async def whole(self) -> dict[str, Any]:
        """Return the finished answer."""
        choices = await self._texts.whole()
        return {
            **self._head,
            "choices": [self._choice(number, one) for number, one in enumerate(choices)],
            "usage": self._texts.usage,
        }

    def _choice(self, number: int, one: Choice) -> dict[str, Any]:
        text, found = one.text, None
        before: tuple[str, dict[str, Any] | None] = ("", None)
        if self._echoed:
            before = self._echoed[number // self._texts.wanted.n]
            text = before[0] + text
        if self.body.logprobs is not None:
            found = completion_log_probs(self.served, one.ids, one.log_probs, one.top, len(before[0]))
            if before[1] is not None:
                found = {name: _both(before[1][name], found[name]) for name in found}
        return {"index": number, "text": text, "logprobs": found, "finish_reason": one.finish}

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the answer in pieces."""
        extra = {"usage": None} if self.body.wants_usage else {}
        lengths = [0] * (len(self._texts.prompts) * self._texts.wanted.n)

        def chunk(index: int, text: str, found: dict[str, Any] | None, finish: str | None) -> bytes:
            choice = {"index": index, "text": text, "logprobs": found, "finish_reason": finish}
            return event({**self._head, "choices": [choice], **extra})

        for number in range(len(lengths)) if self._echoed else ():
            text, scores = self._echoed[number // self._texts.wanted.n]
            lengths[number] = len(text)
            yield chunk(number, text, scores, None)
        async for piece in self._texts.pieces():
            found = None
            if self.body.logprobs is not None and piece.ids:
                found = completion_log_probs(self.served, piece.ids, piece.log_probs, piece.top, lengths[piece.choice])
            lengths[piece.choice] += len(piece.text)
            if piece.text or found or piece.finish:
                yield chunk(piece.choice, piece.text, found, finish_reason(piece))
        if self.body.wants_usage:
            yield event({**self._head, "choices": [], "usage": self._texts.usage})
        yield DONE


def _both(first: list[Any] | None, second: list[Any] | None) -> list[Any] | None:
    return None if first is None or second is None else first + second
