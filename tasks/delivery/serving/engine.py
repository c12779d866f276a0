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
    from model.decoding import DecodeBytes, Finish, Generation, Request
    from model.gpt import GPT

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


@dataclass(eq=False)
class _Growing:
    """A text of a ticket: waiting until `made` is there, then growing; `told` tokens and characters were reported."""

    ticket: Ticket
    choice: int
    request: Request
    made: Generation | None = None
    told: tuple[int, int] = (0, 0)


@dataclass(eq=False)
class Ticket:
    """Texts that were asked for together. `tell` is called in the engine's thread, with a Piece or an exception."""

    tell: Callable[[Piece | Exception], None]
    arrived: float = field(default_factory=time.monotonic)
    cancelled: bool = False


@dataclass(frozen=True)
class Load:
    """How busy an engine is, in texts."""

    running: int
    waiting: int


class Engine:
    """A model and its thread: `submit` texts from anywhere, and `call` what else needs the model."""

    def __init__(
        self, model: GPT, decode_bytes: DecodeBytes, *, slots: int = 16, queue: int = 128, name: str = "model"
    ) -> None:
        """At most `slots` texts grow at the same time and `queue` wait."""
        self.model, self.slots, self.queue = model, slots, queue
        self._decode_bytes = decode_bytes
        self._changed = threading.Condition()
        self._waiting: collections.deque[_Growing] = collections.deque()
        self._calls: collections.deque[tuple[Future[Any], Callable[[], Any]]] = collections.deque()
        self._growing: list[_Growing] = []
        self._closing = False
        self._seconds_per_text = 1.0
        self._thread = threading.Thread(target=self._run, name=f"engine {name}", daemon=True)
        self._thread.start()

    @property
    def load(self) -> Load:
        """How many texts grow and wait now."""
        return Load(len(self._growing), len(self._waiting))

    @property
    def accepts(self) -> bool:
        """Whether it takes new texts."""
        return not self._closing

    def submit(self, requests: Sequence[Request], tell: Callable[[Piece | Exception], None]) -> Ticket:
        """Let texts grow; each Piece is told as it is made, the last one of a text with its `finish`.

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
        ticket = Ticket(tell)
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

    def _run(self) -> None:
        from model.decoding import Decoder

        decoder = Decoder(self.model, self._decode_bytes)
        while True:
            with self._changed:
                while not (self._waiting or self._calls or self._growing):
                    if self._closing:
                        return
                    self._changed.wait()
                call = self._calls.popleft() if self._calls else None
                admitted = self._admitted()
            if call and call[0].set_running_or_notify_cancel():
                _settle(*call)
            try:
                self._grow(decoder, admitted)
            except Exception as error:  # a fault in the model must not leave clients waiting without end
                for one in self._growing:
                    _tell(one.ticket, error)
                self._growing = []
                decoder = Decoder(self.model, self._decode_bytes)

    def _admitted(self) -> list[_Growing]:
        """Take from the queue what has room now; the caller holds the lock."""
        admitted: list[_Growing] = []
        tokens = 0
        while self._waiting and len(self._growing) < self.slots:
            one = self._waiting[0]
            if not one.ticket.cancelled:
                tokens += len(one.request.prompt)
                if admitted and tokens > PREFILL_TOKENS:
                    break
                admitted.append(one)
                self._growing.append(one)
            self._waiting.popleft()
        return admitted

    def _grow(self, decoder: Any, admitted: Sequence[_Growing]) -> None:
        for one in admitted:
            one.made = decoder.add(one.request)
        for one in [one for one in self._growing if one.ticket.cancelled]:
            decoder.cancel(one.made)
            self._growing.remove(one)
        decoder.step()
        now = time.monotonic()
        for one in list(self._growing):
            assert one.made is not None
            if one.ticket.cancelled:
                continue
            piece = _news(one)
            if piece is not None:
                _tell(one.ticket, piece)
            if one.made.finish is not None:
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
