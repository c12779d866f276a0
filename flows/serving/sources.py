"""The pages that a request may be answered from: the index that is served, and the passages for one conversation."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

from data_lake.store.lake import Artifact
from flows.serving.errors import ApiError
from tasks.delivery.generation import is_quotation
from tasks.delivery.serving.served import Message, Served
from tasks.retrieval.asking import given, room, that_fit
from tasks.retrieval.index.search import Passage, Search

log = logging.getLogger(__name__)
DEFAULT_PASSAGES = 5


class Sources:
    """The index that is served; `refresh` opens a newer one when there is one."""

    def __init__(self, find: Callable[[], Artifact | None]) -> None:
        """`find` returns the index that is to be served now; None if the lake has none."""
        self._find = find
        self._open: tuple[str, Search] | None = None
        self._failed = ""

    @property
    def name(self) -> str | None:
        """The artifact that is served."""
        return self._open[0] if self._open else None

    def refresh(self) -> list[str]:
        """Open the index that is to be served now; return what changed, in sentences."""
        artifact = self._find()
        if artifact is None or artifact.name in (self.name, self._failed):
            return []
        try:
            self._open = artifact.name, Search(artifact.path)
        except Exception as error:  # an index that cannot be opened must not take the older one's place
            self._failed = artifact.name
            return [f"{artifact.name} cannot be searched: {error}"]
        return [f"Questions are looked for in {artifact.name}."]

    async def passages(
        self, served: Served, messages: Sequence[Message], wanted: bool | int, max_tokens: int | None
    ) -> list[Passage]:
        """Return the passages that match the last message, as many as the model's context has room for.

        Raises ApiError if no index is served, or if the conversation leaves no room for any passage.
        """
        if self._open is None:
            raise ApiError(
                400, "This server has no index of pages: add `index: {}` to a recipe and run it.",
                param="textmill_sources", code="no_index",
            )  # fmt: skip
        count = DEFAULT_PASSAGES if wanted is True else int(wanted)
        found = await asyncio.to_thread(self._open[1].find, messages[-1].content, count)
        context = served.context
        most = room(context, context if max_tokens is None else max_tokens)

        def fits(text: str) -> bool:
            return len(served.chat_ids(messages, text)) <= most

        read = await asyncio.to_thread(that_fit, found, fits)
        if found and not read:
            raise ApiError(
                400, f"The conversation leaves no room for a passage in the context of {context:,} tokens; shorten it.",
                param="messages", code="context_length_exceeded",
            )  # fmt: skip
        return read


def text_of(passages: Sequence[Passage]) -> str:
    """Return what the model reads of them."""
    return given(passages)


def told(passages: Sequence[Passage], answers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the passages for a client, each with the numbers of the answers that stand in it word for word."""
    return [
        {
            **dataclasses.asdict(one),
            "quoted_in": [number for number, text in enumerate(answers) if is_quotation(text, one.text)],
        }
        for one in passages
    ]
