"""The texts of one request while they grow: from the engine's thread to the event loop, until the client goes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from starlette.requests import Request

from flows.serving.errors import ApiError
from flows.serving.events import until_gone
from flows.serving.metrics import Metrics
from tasks.delivery.serving.engine import Piece, Ticket
from tasks.delivery.serving.served import Served, Wanted

T = TypeVar("T")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


@dataclass
class Choice:
    """One text of an answer, as far as it has grown."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    top: list[list[tuple[int, float]]] = field(default_factory=list)
    finish: str | None = None

    def take(self, piece: Piece) -> None:
        """Add what was told."""
        self.text += piece.text
        self.ids += piece.ids
        self.log_probs += piece.log_probs
        self.top += piece.top
        self.finish = finish_reason(piece) or self.finish


def finish_reason(piece: Piece) -> str | None:
    """Return why a text ended, in OpenAI's words: a full context is a length that was reached."""
    return "length" if piece.finish == "context" else piece.finish


class Texts:
    """Iterates over the pieces of all texts of a request, as they are made; leaving it cancels what still grows."""

    def __init__(
        self,
        served: Served,
        prompts: Sequence[Sequence[int]],
        wanted: Wanted,
        metrics: Metrics,
        *,
        answers: bool,
        stream: bool,
    ) -> None:
        """`answers`: the texts are answers to chats, and begin without the space that some tokenizers write.

        `stream`: each piece is wanted as it is made, and not only the whole texts.
        """
        self._stream = stream
        self.served, self.prompts, self.wanted, self._metrics = served, prompts, wanted, metrics
        self._unspaced = set(range(len(prompts) * wanted.n)) if answers and served.drops_first_space else set()
        self._open = len(prompts) * wanted.n
        self._ticket: Ticket | None = None
        self.completion_tokens = self.cached_tokens = 0

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(map(len, self.prompts))

    @property
    def usage(self) -> dict[str, Any]:
        """What the request took so far, in tokens, as OpenAI tells it."""
        prompt, written = self.prompt_tokens, self.completion_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }

    def start(self) -> None:
        """Put the texts into the engine's queue; raises as `Served.submit` does."""
        loop, told = asyncio.get_running_loop(), asyncio.Queue[Piece | Exception]()
        self._told, self._began = told, time.monotonic()

        def tell(news: Piece | Exception) -> None:
            # Without `self`, which holds the ticket: in a circle, the texts of thousands of requests would wait for a
            # full collection of garbage, which Python begins only when a quarter of all objects is new.
            loop.call_soon_threadsafe(told.put_nowait, news)

        self._ticket = self.served.submit(self.prompts, self.wanted, tell, stream=self._stream)
        self._metrics.prompt_tokens.labels(self.served.name).inc(self.prompt_tokens)

    def cancel(self) -> None:
        """End the texts that still grow."""
        if self._ticket is not None and self._open:
            self.served.engine.cancel(self._ticket)

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield what the texts gain until all have ended."""
        model, first = self.served.name, True
        written = self._metrics.generated_tokens.labels(model)
        try:
            while self._open:
                news = await self._told.get()
                if isinstance(news, Exception):
                    self._open = 0
                    raise news
                if first and news.first_at is not None:
                    self._metrics.first_token.labels(model).observe(news.first_at - self._began)
                    first = False
                if news.finish and news.choice % self.wanted.n == 0:  # a prompt counts once, as in prompt_tokens
                    self.cached_tokens += news.cached
                self._open -= news.finish is not None
                self.completion_tokens += len(news.ids)
                written.inc(len(news.ids))
                yield self._without_space(news)
        finally:
            self.cancel()
            self._observe()

    def _without_space(self, piece: Piece) -> Piece:
        if piece.choice not in self._unspaced or not piece.text:
            return piece
        self._unspaced.discard(piece.choice)
        return replace(piece, text=piece.text.removeprefix(" "))

    def _observe(self) -> None:
        seconds, tokens = time.monotonic() - self._began, self.completion_tokens
        self._metrics.whole.labels(self.served.name).observe(seconds)
        if tokens:
            self._metrics.per_token.labels(self.served.name).observe(seconds / tokens)

    async def whole(self) -> list[Choice]:
        """Return all texts, finished."""
        choices = [Choice() for _ in range(self._open)]
        async for piece in self.pieces():
            choices[piece.choice].take(piece)
        return choices


class Said(Texts):
    """A text of the server's own in the place of what a model would write."""

    def __init__(self, served: Served, wanted: Wanted, metrics: Metrics, text: str) -> None:
        super().__init__(served, [], wanted, metrics, answers=False, stream=False)
        self._text = text

    def start(self) -> None:
        """Queue nothing."""

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield the text once for each choice."""
        for number in range(self.wanted.n):
            yield Piece(number, self._text, finish="stop")

    async def whole(self) -> list[Choice]:
        """Return the text for each choice."""
        return [Choice(self._text, finish="stop") for _ in range(self.wanted.n)]


async def while_wanted(request: Request, work: Awaitable[T]) -> T:
    """Wait for `work`, but no longer than the client does; raises ClientGone."""
    answer = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(until_gone(request.receive))
    both = (answer, gone)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientGone
        return answer.result()
    finally:
        for one in both:
            one.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        del answer, gone, both, one  # an error, and this function in its traceback, would hold each other


def new_tokens(asked: int | None, default: int | None, prompt: Sequence[int], context: int) -> int:
    """Return how many tokens may be written: what was asked for, or `default`, None = what the context has room for."""
    if asked is not None:
        return asked
    return default if default is not None else max(1, context + 1 - len(prompt))


def too_many(served: Served, prompts: int, n: int) -> None:
    """Raise ApiError if a request wants more texts than the server ever takes."""
    most = served.engine.slots + served.engine.queue
    if prompts * n > most:
        raise ApiError(
            400, f"{prompts * n:,} texts at once are more than the {most:,} that this server takes; ask for fewer.",
            param="n" if n > 1 else "prompt",
        )  # fmt: skip
