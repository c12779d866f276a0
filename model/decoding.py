"""Decoding: many texts grow side by side, one token per step, with a key/value cache and left padding.

Texts may join and leave between any two steps, so this serves a single prompt, a batch, thousands of rollouts and a
server alike. A text gets the same tokens alone and beside others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import Tensor

from model.gpt import GPT
from model.padded import PaddedTexts
from model.paged_texts import PagedTexts
from model.sampling import GREEDY, Drawing, Sampling, choose
from model.text_stream import TextStream

Finish = Literal["stop", "length", "context"]
"""Why a text ends: an end token or a stop string came, the maximum length was reached, or the context is full."""

DecodeBytes = Callable[[Sequence[int]], bytes]


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

    def longest(self, context: int) -> int:
        """Return how many tokens of the text are read at most; the last one is not."""
        return min(len(self.prompt) + self.max_new_tokens - 1, context)


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
    cached: int | None = field(default=None, compare=False)
    """How many tokens of the prompt had been read before, for other texts; None = the prompt was not read yet."""

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
        self.most = request.longest(self.limit)
        if request.max_new_tokens <= 0:
            self.made.finish = "length"

    @property
    def ended(self) -> bool:
        """Whether the text is finished."""
        return self.made.finish is not None

    @property
    def cached(self) -> int | None:
        """As the text itself knows it."""
        return self.made.cached

    @cached.setter
    def cached(self, tokens: int | None) -> None:
        self.made.cached = tokens

    @property
    def source(self) -> tuple[int, ...]:
        """The ids of the source text."""
        return tuple(self.request.source or ())

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

    def __init__(
        self, model: GPT, decode_bytes: DecodeBytes | None = None, texts: PaddedTexts | PagedTexts | None = None
    ) -> None:
        """`decode_bytes` (Tokenizer.decode_bytes) makes texts of the tokens; without it there are only ids.

        `texts` is how keys and values are kept: None = padded, for texts that come once and end about together.
        """
        self.model, self.decode_bytes = model, decode_bytes
        self._texts = PaddedTexts(model) if texts is None else texts

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
            self._texts.add(row)
        return row.made

    @property
    def active(self) -> int:
        """How many texts are not finished."""
        return self._texts.active

    def has_room(self, request: Request) -> bool:
        """Whether a text would join at the next step, and not wait for memory."""
        longest = request.longest(self.model.config.max_seq_len)
        return not isinstance(self._texts, PagedTexts) or self._texts.has_room(request.prompt, longest)

    def cancel(self, made: Generation) -> None:
        """Let a text leave unfinished; its `finish` stays None."""
        self._texts.remove(lambda row: isinstance(row, _Row) and row.made is made)

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
        logits = self._texts.logits()
        if logits is None:
            return
        logits = logits.float()
        rows = cast(list[_Row], self._texts.rows)
        tokens = choose(logits, [row.drawing for row in rows])
        mass = logits.logsumexp(dim=-1)
        log_probs = logits.gather(1, tokens[:, None])[:, 0] - mass
        tops = _likeliest(logits, mass, [row.request.top for row in rows])
        for row, token, log_prob, top in zip(rows, tokens.tolist(), log_probs.tolist(), tops, strict=True):
            if row.made.finish is None:
                row.take(token, log_prob, top)
        self._texts.release()


def _likeliest(logits: Tensor, mass: Tensor, counts: Sequence[int]) -> Sequence[list[tuple[int, float]] | None]:
    """Return for each row as many of its likeliest tokens as are wanted; None where none are."""
    most = max(counts)
    if not most:
        return [None] * len(counts)
    values, ids = logits.topk(min(most, logits.shape[-1]), dim=-1)
    log_probs = (values - mass[:, None]).tolist()
    return [
        list(zip(tokens, numbers, strict=True))[:count] if count else None
        for count, tokens, numbers in zip(counts, ids.tolist(), log_probs, strict=True)
    ]
