"""A conversation with one model: what was said, and the next answer as it is written."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import replace

from tasks.delivery.serving.engine import Piece
from tasks.delivery.serving.served import Message, Served, Wanted

SHORTEST_ANSWER = 16
"""Tokens that an answer has room for at least: before it has less, the oldest exchange is forgotten."""


class Conversation:
    """Messages so far, and how answers are drawn; a model that was taught no chat goes on from the last message."""

    def __init__(self, served: Served, wanted: Wanted, system: str = "") -> None:
        self.served, self.wanted, self.system = served, wanted, system
        self.exchanges: list[tuple[str, str]] = []
        self.forgotten = 0
        """Exchanges at the beginning that the model does not see any more, as its context is full."""
        self.finish: str | None = None
        self.log_probs: list[float] = []

    def answer(self, said: str) -> Iterator[str]:
        """Yield the answer piece by piece; a caller that stops reading ends it, and what was written is kept.

        Raises ContextExceeded if the message alone is too long.
        """
        prompt = self._prompt(said)
        told: queue.Queue[Piece | Exception] = queue.Queue()
        # with several answers to one message, each is another, and all are the same the next time
        wanted = replace(self.wanted, seed=self.wanted.seed + len(self.exchanges))
        ticket = self.served.submit([prompt], wanted, told.put)
        self.finish, self.log_probs = None, []
        written, unspaced = "", self.served.drops_first_space
        try:
            while self.finish is None:
                news = told.get()
                if isinstance(news, Exception):
                    raise news
                text = news.text.removeprefix(" ") if unspaced and news.text else news.text
                unspaced = unspaced and not news.text
                written += text
                self.log_probs += news.log_probs
                self.finish = news.finish
                if text:
                    yield text
        finally:
            if self.finish is None:
                self.served.engine.cancel(ticket)
                self.finish = "stopped"
            self.exchanges.append((said, written))

    def _prompt(self, said: str) -> list[int]:
        if not self.served.chats:
            return self.served.text_ids(said)
        room = self.served.context - min(SHORTEST_ANSWER, self.served.context // 2)
        while True:
            ids = self.served.chat_ids(self._messages(said))
            if len(ids) <= room or self.forgotten == len(self.exchanges):
                return ids
            self.forgotten += 1

    def _messages(self, said: str) -> list[Message]:
        system = [Message("system", self.system)] if self.system else []
        turns = [
            message
            for asked, answered in self.exchanges[self.forgotten :]
            for message in (Message("user", asked), Message("assistant", answered))
        ]
        return [*system, *turns, Message("user", said)]

    def take_back(self) -> str | None:
        """Forget the last exchange, and return what was said in it; None if there is none."""
        if not self.exchanges:
            return None
        self.forgotten = min(self.forgotten, len(self.exchanges) - 1)
        return self.exchanges.pop()[0]

    def clear(self) -> None:
        """Begin anew."""
        self.exchanges, self.forgotten = [], 0
