"""The engine of one model: a thread in which all of its texts grow side by side, joining and leaving at any token.

Continuous batching as in Orca (Yu et al. 2022): what waits is read and joins as soon as there is room, so that a short
text never waits for a long one. All that touches the model happens in this thread.
"""

from __future__ import annotations

import collections
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from model.decoding import DecodeBytes, Decoder, Finish, Generation, Request
    from model.gpt import GPT
    from model.paged_texts import PagedTexts

T = TypeVar("T")
PREFILL_TOKENS = 2048
"""Prompt tokens that are read before the texts that grow already get their next one: a long queue must not halt them,
and a client that goes away meanwhile is noticed."""


class EngineFull(Exception):
    """More texts wait than may; `retry_after` is the number of seconds after which there may be room."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting:,} texts wait already; try again in {retry_after} s.")
        self.retry_after = retry_after


class EngineStopped(Exception):
    """The engine takes no new texts: its model is being replaced, or the server ends."""


@dataclass(frozen=True)
class Piece:
    """What one text gained in a step: its new text, and its new tokens with what is known of them."""

    choice: int
    text: str = ""
    ids: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    top: tuple[list[tuple[int, float]], ...] = ()
    finish: Finish | None = None
    end: int | None = None
    """The end token that the model wrote, if it ended the text with one."""
    first_at: float | None = None
    """When the text's first token was there (time.monotonic)."""
    cached: int = 0
    """Tokens of the prompt that had been read before, for other texts."""


@dataclass(eq=False)
class _Growing:
    """A text of a ticket: waiting until `made` is there, then growing; `told` tokens and characters were reported."""

    ticket: Ticket
    choice: int
    request: Request
    made: Generation | None = None
    told: tuple[int, int] = (0, 0)
    first_at: float | None = None


@dataclass(eq=False)
class Ticket:
    """Texts that were asked for together. `tell` is called in the engine's thread, with a Piece or an exception."""

    tell: Callable[[Piece | Exception], None]
    stream: bool = True
    """Whether each piece is told as it is made; else each text once, when it has ended."""
    arrived: float = field(default_factory=time.monotonic)
    cancelled: bool = False


@dataclass(frozen=True)
class Load:
    """How busy an engine is, in texts."""

    running: int
    waiting: int


@dataclass(frozen=True)
class PrefixCache:
    """What the blocks of keys and values were good for: tokens of prompts, those that were read before; in use now."""

    queries: int
    hits: int
    usage: float
    """Share of the blocks that belong to texts which grow."""


def kv_megabytes(model: GPT, slots: int) -> float:
    """Return the memory for keys and values if none is set: for all texts at full length, and as much for old ones.

    At most 1,024 MB, if that is enough for one text.
    """
    from model.paged_texts import megabytes_of

    context = model.config.max_seq_len
    return max(megabytes_of(model, 1, context), min(1024.0, megabytes_of(model, 2 * slots, context)))


class Engine:
    """A model and its thread: `submit` texts from anywhere, and `call` what else needs the model."""

    def __init__(
        self,
        model: GPT,
        decode_bytes: DecodeBytes,
        *,
        slots: int = 16,
        queue: int = 128,
        megabytes: float | None = None,
        name: str = "model",
    ) -> None:
        """At most `slots` texts grow at the same time and `queue` wait.

        `megabytes` is the memory for keys and values, None = `kv_megabytes`. Raises ValueError if a single text does
        not fit it. The weights of the model move in memory; nobody may train it any more.
        """
        self.model, self.slots, self.queue = model, slots, queue
        self._megabytes = kv_megabytes(model, slots) if megabytes is None else megabytes
        self._decode_bytes = decode_bytes
        self._changed = threading.Condition()
        self._waiting: collections.deque[_Growing] = collections.deque()
        self._calls: collections.deque[tuple[Future[Any], Callable[[], Any]]] = collections.deque()
        self._growing: list[_Growing] = []
        self._closing = False
        self._seconds_per_text = 1.0
        self._queries = self._hits = 0
        self._texts = self._no_texts()
        self._thread = threading.Thread(target=self._run, name=f"engine {name}", daemon=True)
        self._thread.start()

    @property
    def load(self) -> Load:
        """How many texts grow and wait now."""
        return Load(len(self._growing), len(self._waiting))

    @property
    def prefix_cache(self) -> PrefixCache:
        """What the blocks of keys and values were good for so far."""
        pool = self._texts.pool
        return PrefixCache(self._queries, self._hits, 1 - pool.free / pool.count)

    @property
    def accepts(self) -> bool:
        """Whether it takes new texts."""
        return not self._closing

    def submit(
        self, requests: Sequence[Request], tell: Callable[[Piece | Exception], None], *, stream: bool = True
    ) -> Ticket:
        """Let texts grow; each Piece is told as it is made, the last one of a text with its `finish`.

        Without `stream`, a text is told as one piece: to tell each token of a small model costs as much as to make it.

        Raises EngineFull if they do not all fit the queue, EngineStopped, and ValueError if a request does not fit the
        model.
        """
        from model.decoding import Decoder

        checker = Decoder(self.model, self._decode_bytes)
        for request in requests:
            checker.check(request)
        if len(requests) > self.slots + self.queue:
            raise ValueError(
                f"{len(requests):,} texts at once are more than this server takes ({self.slots + self.queue:,}); ask "
                "for fewer."
            )
        ticket = Ticket(tell, stream)
        with self._changed:
            if self._closing:
                raise EngineStopped("This model takes no new texts any more; try again.")
            room = self.slots - len(self._growing) + self.queue - len(self._waiting)
            if len(requests) > room:
                turns = (len(self._waiting) + len(requests)) / self.slots
                raise EngineFull(len(self._waiting), max(1, min(60, round(turns * self._seconds_per_text))))
            self._waiting.extend(_Growing(ticket, number, request) for number, request in enumerate(requests))
            self._changed.notify()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Let the texts of a ticket end where they are; nothing more is told of them."""
        with self._changed:
            ticket.cancelled = True
            self._changed.notify()

    def call(self, work: Callable[[], T]) -> Future[T]:
        """Do something with the model between two tokens. Raises EngineFull and EngineStopped."""
        future: Future[T] = Future()
        with self._changed:
            if self._closing:
                raise EngineStopped("This model takes no new texts any more; try again.")
            if len(self._calls) >= self.queue:
                raise EngineFull(len(self._calls), 1)
            self._calls.append((future, work))
            self._changed.notify()
        return future

    def close(self, seconds: float | None = None) -> bool:
        """Take nothing new, and wait until everything that was taken is done; return whether it is."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _no_texts(self) -> PagedTexts:
        from model.paged_texts import PagedTexts

        return PagedTexts(self.model, self._megabytes)

    def _run(self) -> None:
        from model.decoding import Decoder

        decoder = Decoder(self.model, self._decode_bytes, self._texts)
        while True:
            with self._changed:
                while not (self._waiting or self._calls or self._growing):
                    if self._closing:
                        return
                    self._changed.wait()
                call = self._calls.popleft() if self._calls else None
                self._admit(decoder)
            if call and call[0].set_running_or_notify_cancel():
                _settle(*call)
            try:
                self._grow(decoder)
            except Exception as error:  # a fault in the model must not leave clients waiting without end
                for one in self._growing:
                    _tell(one.ticket, error)
                self._growing = []
                self._texts = self._no_texts()  # nobody knows what is in the blocks
                decoder = Decoder(self.model, self._decode_bytes, self._texts)

    def _admit(self, decoder: Decoder) -> None:
        """Take from the queue what has room now, in slots and in blocks; the caller holds the lock."""
        tokens = 0
        while self._waiting and len(self._growing) < self.slots:
            one = self._waiting[0]
            if not one.ticket.cancelled:
                if (tokens and tokens + len(one.request.prompt) > PREFILL_TOKENS) or not decoder.has_room(one.request):
                    break
                tokens += len(one.request.prompt)
                one.made = decoder.add(one.request)
                self._growing.append(one)
            self._waiting.popleft()

    def _grow(self, decoder: Decoder) -> None:
        for one in [one for one in self._growing if one.ticket.cancelled]:
            assert one.made is not None
            decoder.cancel(one.made)
            self._growing.remove(one)
        decoder.step()
        now = time.monotonic()
        for one in list(self._growing):
            made = one.made
            assert made is not None
            if one.first_at is None and made.cached is not None:
                one.first_at = now
                self._queries += len(one.request.prompt)
                self._hits += made.cached
            if one.ticket.cancelled:
                continue
            if (one.ticket.stream or made.finish) and (piece := _news(one)):
                _tell(one.ticket, piece)
            if made.finish is not None:
                self._growing.remove(one)
                self._seconds_per_text += 0.1 * (now - one.ticket.arrived - self._seconds_per_text)


def _news(one: _Growing) -> Piece | None:
    """Return what a text gained since it was told last; None if nothing."""
    made = one.made
    assert made is not None
    tokens, characters = one.told
    text = made.text or ""
    if len(made.ids) == tokens and len(text) == characters and made.finish is None:
        return None
    one.told = (len(made.ids), len(text))
    return Piece(
        one.choice,
        text[characters:],
        tuple(made.ids[tokens:]),
        tuple(made.log_probs[tokens:]),
        tuple(itertools.islice(made.top, tokens, None)),
        made.finish,
        made.end,
        one.first_at,
        made.cached or 0,
    )


def _tell(ticket: Ticket, news: Piece | Exception) -> None:
    """Tell a ticket's owner, who may be gone: its event loop is closed then."""
    try:
        ticket.tell(news)
    except RuntimeError:
        ticket.cancelled = True


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # the caller's to answer for
        future.set_exception(error)
