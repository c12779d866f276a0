"""Decoding: many texts grow side by side, one token per step, with a key/value cache and left padding.

Texts may join and leave between any two steps, so this serves a single prompt, a batch, thousands of rollouts and a
server alike. A text gets the same tokens alone and beside others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from model.gpt import GPT
from model.past import Past, Source
from model.sampling import GREEDY, Drawing, Sampling, choose
from model.text_stream import TextStream

Finish = Literal["stop", "length", "context"]
"""Why a text ends: an end token or a stop string came, the maximum length was reached, or the context is full."""

DecodeBytes = Callable[[Sequence[int]], bytes]
PREFILL_TOKENS = 8192
"""Prompt tokens, padding included, that are read in one forward pass."""


@dataclass(frozen=True)
class Request:
    """What to go on from, how, and for how many tokens.

    `source` is the text that an encoder-decoder reads, in token ids. The text ends before the first id in `stop`.
    `slide` is the number of opening tokens of the prompt (<|bos|>, the system's text) that stay when the context is
    full and slides; None = the text ends there. `top` is how many of the likeliest tokens are kept at each place.
    """

    prompt: Sequence[int]
    max_new_tokens: int
    sampling: Sampling = GREEDY
    stop: Collection[int] = ()
    slide: int | None = None
    source: Sequence[int] | None = None
    top: int = 0


@dataclass
class Generation:
    """A text while it grows and when it is finished.

    `ids` are the new tokens without the end token. `log_probs` are the model's own log-probabilities of them: before
    temperature, filters and penalty. `text` ends before the stop string (None without a tokenizer), while `ids` include
    the tokens that spell it. `left_out` counts the oldest tokens that slid out of the context. Log-probabilities do not
    count when two are compared: their last digits depend on how many texts grow together.
    """

    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list, compare=False)
    text: str | None = None
    finish: Finish | None = None
    end: int | None = None
    """The end token that was generated."""
    end_log_prob: float | None = field(default=None, compare=False)
    left_out: int = 0
    top: list[list[tuple[int, float]]] = field(default_factory=list, compare=False)
    """The likeliest tokens at the place of each of `ids`, likeliest first, with the model's log-probabilities."""

    @property
    def ended(self) -> bool:
        """Whether the model itself ended its text."""
        return self.finish == "stop"

    @property
    def mean_log_prob(self) -> float | None:
        """Mean log-probability per generated token, the end token included: how sure the model is. None = no token."""
        values = [*self.log_probs, *([] if self.end_log_prob is None else [self.end_log_prob])]
        return sum(values) / len(values) if values else None


class _Row:
    """A text that grows: its request, what it has become, and the tokens that the model sees of it."""

    def __init__(self, request: Request, model: GPT, decode_bytes: DecodeBytes | None) -> None:
        config = model.config
        self.request, self.limit = request, config.max_seq_len
        self.seen = list(request.prompt)
        self.made = Generation()
        self.drawing = Drawing(request.sampling, request.prompt, config.vocab_size, model.device)
        self.stream = TextStream(decode_bytes, request.sampling.stop) if decode_bytes else None
        if self.stream:
            self.made.text = ""
        self.slid = False
        """Whether the cache does not fit `seen` any more."""
        if request.max_new_tokens <= 0:
            self.made.finish = "length"

    def take(self, token: int, log_prob: float, top: list[tuple[int, float]] | None = None) -> None:
        """Add the next token and decide whether the text ends."""
        made = self.made
        if math.isnan(log_prob):
            raise ValueError(
                f"The model's logits after {len(self.seen):,} tokens are not finite: its weights are damaged, or its "
                "training diverged."
            )
        if token in self.request.stop:
            made.end, made.end_log_prob, made.finish = token, log_prob, "stop"
        else:
            made.ids.append(token)
            made.log_probs.append(log_prob)
            if top is not None:
                made.top.append(top)
            self.seen.append(token)
            if self.stream:
                made.text = (made.text or "") + self.stream.push(token)
            if self.stream and self.stream.stopped:
                made.finish = "stop"
            elif len(made.ids) >= self.request.max_new_tokens:
                made.finish = "length"
            elif len(self.seen) > self.limit:
                self._full()
        if made.finish and self.stream:
            made.text = (made.text or "") + self.stream.end()

    def _full(self) -> None:
        """End, or drop the oldest quarter of what may go: the rest is read again, from position 0 on."""
        keep = self.request.slide
        if keep is None:
            self.made.finish = "context"
            return
        drop = max(1, (self.limit - keep) // 4)
        del self.seen[keep : keep + drop]
        self.made.left_out += drop
        self.slid = True


class Decoder:
    """Texts that grow side by side with one model. Not for use by several threads at once."""

    def __init__(self, model: GPT, decode_bytes: DecodeBytes | None = None) -> None:
        """`decode_bytes` (Tokenizer.decode_bytes) makes texts of the tokens; without it there are only ids."""
        self.model, self.decode_bytes = model, decode_bytes
        self._unread: list[_Row] = []
        self._rows: list[_Row] = []
        """The texts of `_past`, in its order; those that have ended stay until it is made anew."""
        self._past: Past | None = None

    def check(self, request: Request) -> None:
        """Raise ValueError if the prompt is empty, too long or of another vocabulary, or a setting does not fit."""
        config = self.model.config
        if not config.causal:
            raise ValueError("An encoder reads whole texts and writes none; generate with a decoder.")
        if (request.source is None) != (self.model.encoder is None):
            needs = "reads a source text; give it one" if self.model.encoder else "reads no source text"
            raise ValueError(f"A network of kind {config.network} {needs}.")
        if request.source is not None and not 0 < len(request.source) <= config.max_seq_len:
            raise ValueError(
                f"A source text has {len(request.source):,} tokens, but it must have 1 to {config.max_seq_len:,}."
            )
        if not request.prompt:
            raise ValueError("An empty prompt has nothing to go on from; begin it with the tokenizer's <|bos|>.")
        if len(request.prompt) > config.max_seq_len:
            raise ValueError(
                f"A prompt of {len(request.prompt):,} tokens does not fit the context of {config.max_seq_len:,}; "
                "shorten it."
            )
        for token in (*request.prompt, *(request.source or ())):
            if not 0 <= token < config.vocab_size:
                raise ValueError(
                    f"The prompt has the id {token}, but the model's vocabulary only 0 to {config.vocab_size - 1}: it "
                    "was made with another tokenizer."
                )
        if request.sampling.stop and self.decode_bytes is None:
            raise ValueError("Stop strings need the tokenizer; give it, or stop at token ids.")
        for token, _ in request.sampling.logit_bias:
            if not 0 <= token < config.vocab_size:
                raise ValueError(
                    f"logit_bias names the id {token}, but the vocabulary has only 0 to {config.vocab_size - 1}."
                )
        if request.slide is not None and not 0 <= request.slide < config.max_seq_len:
            raise ValueError(
                f"slide is {request.slide}, but of the {config.max_seq_len:,} tokens of the context 0 to "
                f"{config.max_seq_len - 1:,} can stay when it slides."
            )

    def add(self, request: Request) -> Generation:
        """Let a text join from the next step on, and return it: it grows with every step.

        Raises ValueError as `check` does.
        """
        self.check(request)
        row = _Row(request, self.model, self.decode_bytes)
        if not row.made.finish:
            self._unread.append(row)
        return row.made

    @property
    def active(self) -> int:
        """How many texts are not finished."""
        return len(self._unread) + sum(row.made.finish is None for row in self._rows)

    def cancel(self, made: Generation) -> None:
        """Let a text leave unfinished; its `finish` stays None."""
        self._unread = [row for row in self._unread if row.made is not made]
        self._keep([place for place, row in enumerate(self._rows) if row.made is not made])

    @torch.inference_mode()
    def step(self) -> None:
        """Give each unfinished text its next token; nothing happens if there is none."""
        was_training = self.model.training
        if was_training:
            self.model.eval()
        try:
            self._step()
        finally:
            if was_training:
                self.model.train()

    def _step(self) -> None:
        self._tidy()
        states = [self._past.go_on([[row.seen[-1]] for row in self._rows])] if self._past else []
        if self._unread:
            states.append(self._read_unread())
        if not states:
            return
        hidden = torch.cat(states) if len(states) > 1 else states[0]
        logits = torch.nn.functional.linear(hidden, self.model.output_weight).float()
        tokens = choose(logits, [row.drawing for row in self._rows])
        mass = logits.logsumexp(dim=-1)
        log_probs = logits.gather(1, tokens[:, None])[:, 0] - mass
        tops = self._likeliest(logits, mass)
        for row, token, log_prob, top in zip(self._rows, tokens.tolist(), log_probs.tolist(), tops, strict=True):
            if row.made.finish is None:
                row.take(token, log_prob, top)

    def _likeliest(self, logits: Tensor, mass: Tensor) -> Sequence[list[tuple[int, float]] | None]:
        """Return for each row as many of its likeliest tokens as its request wants; None where it wants none."""
        most = max((row.request.top for row in self._rows), default=0)
        if not most:
            return [None] * len(self._rows)
        values, ids = logits.topk(min(most, logits.shape[-1]), dim=-1)
        log_probs = (values - mass[:, None]).tolist()
        return [
            list(zip(tokens, numbers, strict=True))[: row.request.top] if row.request.top else None
            for row, tokens, numbers in zip(self._rows, ids.tolist(), log_probs, strict=True)
        ]

    def _tidy(self) -> None:
        """Drop finished rows when they are half of all, and when the shared length or new rows need it anyway."""
        slid = [row for row in self._rows if row.slid]
        staying = [place for place, row in enumerate(self._rows) if row.made.finish is None and not row.slid]
        for row in slid:
            row.slid = False
        self._unread += slid
        full = self._past is not None and self._past.length >= self.model.config.max_seq_len
        if slid or full or self._unread or 2 * len(staying) <= len(self._rows):
            self._keep(staying)

    def _keep(self, places: list[int]) -> None:
        """Keep only the texts at these places, and no more padding than they need."""
        if self._past is None or (len(places) == len(self._rows) and not int(self._past.padding.min())):
            return
        self._rows = [self._rows[place] for place in places]
        self._past = self._past.rows(places) if places else None

    def _read_unread(self) -> Tensor:
        """Read the new texts, put them beside the others, and return their last states (B, C)."""
        texts: dict[Text, list[_Row]] = {}
        for row in self._unread:  # many samples of one prompt read it once
            texts.setdefault((tuple(row.seen), tuple(row.request.source or ())), []).append(row)
        self._unread = []
        states = []
        for part in _parts(sorted(texts, key=lambda text: len(text[0]), reverse=True)):
            source = Source.read(self.model, [text[1] for text in part]) if self.model.encoder else None
            past, last = Past.read(self.model, [text[0] for text in part], source)
            places = [number for number, text in enumerate(part) for _ in texts[text]]
            if len(places) > len(part):
                past, last = past.rows(places), last[places]
            self._rows += [row for text in part for row in texts[text]]
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
