"""Texts that grow side by side in one tensor: each but the longest begins with padding (`model.past`)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from model.gpt import GPT
from model.past import Growing, Past, Source

PREFILL_TOKENS = 8192
"""Prompt tokens, padding included, that are read in one forward pass."""


class PaddedTexts:
    """What a model has read of texts that come and go, for every network on every device."""

    def __init__(self, model: GPT) -> None:
        self.model = model
        self.rows: list[Growing] = []
        """The texts of the last `logits`, in their order; those that have ended stay until the tensor is made anew."""
        self._unread: list[Growing] = []
        self._past: Past | None = None

    @property
    def active(self) -> int:
        """How many texts have not ended."""
        return len(self._unread) + sum(not row.ended for row in self.rows)

    def add(self, row: Growing) -> None:
        """Let a text join."""
        self._unread.append(row)

    def remove(self, leaving: Callable[[Growing], bool]) -> None:
        """Let those texts leave for which `leaving` is true."""
        self._unread = [row for row in self._unread if not leaving(row)]
        self._keep([place for place, row in enumerate(self.rows) if not leaving(row)])

    def release(self) -> None:
        """Nothing: texts that have ended leave when it costs least (`_tidy`)."""

    def logits(self) -> Tensor | None:
        """Read what is new of all texts, and return the logits (B, V) after each; None if there is no text."""
        self._tidy()
        states = [self._past.go_on([[row.seen[-1]] for row in self.rows])] if self._past else []
        if self._unread:
            states.append(self._read_unread())
        if not states:
            return None
        hidden = torch.cat(states) if len(states) > 1 else states[0]
        return self.model.logits(hidden)

    def _tidy(self) -> None:
        """Drop finished rows when they are half of all, and when the shared length or new rows need it anyway."""
        slid = [row for row in self.rows if row.slid]
        staying = [place for place, row in enumerate(self.rows) if not row.ended and not row.slid]
        for row in slid:
            row.slid = False
        self._unread += slid
        full = self._past is not None and self._past.length >= self.model.config.max_seq_len
        if slid or full or self._unread or 2 * len(staying) <= len(self.rows):
            self._keep(staying)

    def _keep(self, places: list[int]) -> None:
        """Keep only the texts at these places, and no more padding than they need."""
        if self._past is None or (len(places) == len(self.rows) and not int(self._past.padding.min())):
            return
        self.rows = [self.rows[place] for place in places]
        self._past = self._past.rows(places) if places else None

    def _read_unread(self) -> Tensor:
        """Read the new texts, put them beside the others, and return their last states (B, C)."""
        texts: dict[Text, list[Growing]] = {}
        for row in self._unread:  # many samples of one prompt read it once
            texts.setdefault((tuple(row.seen), row.source), []).append(row)
            row.cached = row.cached or 0
        self._unread = []
        states = []
        for part in _parts(sorted(texts, key=lambda text: len(text[0]), reverse=True)):
            source = Source.read(self.model, [text[1] for text in part]) if self.model.encoder else None
            past, last = Past.read(self.model, [text[0] for text in part], source)
            places = [number for number, text in enumerate(part) for _ in texts[text]]
            if len(places) > len(part):
                past, last = past.rows(places), last[places]
            self.rows += [row for text in part for row in texts[text]]
            self._past = self._past.joined(past) if self._past else past
            states.append(last)
        return torch.cat(states)


Text = tuple[tuple[int, ...], tuple[int, ...]]
"""The ids to go on from, and those of the source text."""


def _parts(texts: list[Text]) -> list[list[Text]]:
    """Divide texts, longest first, so that each part has at most PREFILL_TOKENS with its padding, or one text."""
    parts, start = [], 0
    while start < len(texts):
        count = max(1, PREFILL_TOKENS // len(texts[start][0]))
        parts.append(texts[start : start + count])
        start += count
    return parts
