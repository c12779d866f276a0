"""Scoring: the log-likelihood a model assigns to a text, computed exactly as in lm-evaluation-harness 0.4.13.

Pairs of context and continuation for multiple choice, whole texts for perplexity. Pairs are encoded, truncated from
the left and split into windows in the same way, with a float32 log-softmax, so the numbers are comparable with
published ones.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from model.gpt import GPT
from model.hardware import tokens_at_once
from model.prefixes import PrefixReader, pieces_of

Ids = list[int]

LOGITS = 1024
"""Tokens whose logits over the whole vocabulary are in memory at once."""


@dataclass(frozen=True)
class Score:
    """Summed log-likelihood of a continuation in nats, and whether each of its tokens is the model's first choice.

    `cut` tokens at the beginning of its context were left out because they do not fit into the model's context.
    """

    log_likelihood: float
    is_greedy: bool
    cut: int = 0


class Scorer:
    """Scores texts with one model. `prefix` is the id used for an empty context: the <|bos|> of training.

    `chat` turns a context into the tokens after which the assistant answers. With it, pairs are scored as with
    lm-eval's `--apply_chat_template`: the continuation is the answer, without the space that joins it to plain text.

    About `batch_tokens` tokens are read at once (0 = as many as suit the device); memory is bounded by their states, by
    the keys and values of as many positions as `PrefixReader` says, and by the logits of `LOGITS` tokens. `on_read` is
    told how many tokens were just read.
    """

    def __init__(
        self,
        model: GPT,
        encode: Callable[[str], Ids],
        prefix: int,
        batch_tokens: int = 0,
        chat: Callable[[str], Ids] | None = None,
        on_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.model, self.encode, self.prefix, self.chat = model.eval(), encode, prefix, chat
        self.on_read = on_read
        self.batch_tokens = batch_tokens or tokens_at_once(model.device)
        self._context = functools.lru_cache(16)(chat or encode)  # the choices of an item follow the same context
        self.max_length = model.config.max_seq_len

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """Return the score of each (context, continuation).

        Raises ValueError if a continuation adds no tokens or is longer than the model's context.
        """
        return self.score_ids([self.encode_pair(context, continuation) for context, continuation in pairs])

    def rolling(self, texts: Sequence[str], min_context: int = 1) -> list[tuple[float, int]]:
        """Return (summed log-likelihood, tokens) of each whole text; texts are never joined.

        Every token is scored once, in windows of the model's context. `min_context` is lm-eval's `context_len`: 1 makes
        windows that hardly overlap, as lm-eval's tasks do; more gives each token at least that many tokens of context.
        """
        windows, owner, sizes = [], [], []
        for number, text in enumerate(texts):
            ids = self.encode(text)
            sizes.append(len(ids))
            for window in rolling_windows(ids, self.prefix, self.max_length, min_context):
                windows.append(window)
                owner.append(number)
        totals = [0.0] * len(texts)
        for number, score in zip(owner, self.score_ids(windows), strict=True):
            totals[number] += score.log_likelihood
        return list(zip(totals, sizes, strict=True))

    def encode_pair(self, context: str, continuation: str) -> tuple[Ids, Ids]:
        """Return the ids of both; whitespace at the end of the context moves to the continuation.

        The continuation's ids are those that encoding both together adds after the context's ids: encoded alone, the
        text might be split differently where the two meet.
        """
        if self.chat is not None:
            return self._context(context), self.encode(continuation.removeprefix(" "))
        if context == "":
            ids = self.encode(continuation)
            return (ids[:1], ids[1:]) if ids[:1] == [self.prefix] else ([self.prefix], ids)
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        before = self._context(stripped)
        return before or [self.prefix], self.encode(stripped + continuation)[len(before) :]

    def fits(self, continuation: Ids) -> bool:
        """Whether a continuation can be scored: it has tokens, and no more than the model's context."""
        return 0 < len(continuation) <= self.max_length

    @torch.inference_mode()
    def score_ids(self, pairs: Sequence[tuple[Ids, Ids]]) -> list[Score]:
        """Return the score of each (context ids, continuation ids); a context that is too long is cut from the left.

        What texts begin with in common is read once: the context of an item's choices, the shots of a subject. Choices
        of one token have the same input and are scored from the same states.
        """
        asking: dict[tuple[int, ...], list[int]] = {}
        for number, (context, continuation) in enumerate(pairs):
            if not self.fits(continuation):
                raise ValueError(
                    f"A continuation of {len(continuation)} tokens cannot be scored: it must have 1 to "
                    f"{self.max_length}, the model's context."
                )
            row = tuple((context + continuation)[-(self.max_length + 1) :][:-1])
            asking.setdefault(row, []).append(number)
        rows = list(asking)
        own = [max(len(pairs[number][1]) for number in asking[row]) for row in rows]
        found: dict[int, Score] = {}
        for pieces, states in PrefixReader(self.model, self.batch_tokens, self.on_read).states(pieces_of(rows, own)):
            places: Ids = []
            wanted: Ids = []
            numbers: list[int] = []
            for at, piece in enumerate(pieces):
                for number in asking[piece.row]:
                    continuation = pairs[number][1]
                    end = at * states.shape[1] + piece.length
                    places += range(end - len(continuation), end)
                    wanted += continuation
                    numbers.append(number)
            values, firsts = self._predicted(states.flatten(0, 1), places, wanted)
            start = 0
            for number in numbers:
                context, continuation = pairs[number]
                end = start + len(continuation)
                cut = max(0, len(context) + len(continuation) - 1 - self.max_length)
                found[number] = Score(math.fsum(values[start:end]), all(firsts[start:end]), cut)
                start = end
        return [found[number] for number in range(len(pairs))]

    def _predicted(self, states: torch.Tensor, places: Ids, wanted: Ids) -> tuple[list[float], list[bool]]:
        """Return how likely the states (N, C) at these places make these tokens, and whether they are the likeliest."""
        values: list[float] = []
        firsts: list[bool] = []
        for start in range(0, len(places), LOGITS):
            at = torch.tensor(places[start : start + LOGITS], device=states.device)
            ids = torch.tensor(wanted[start : start + LOGITS], device=states.device)
            logits = self.model.logits(states[at]).float()
            values += (logits.gather(1, ids[:, None])[:, 0] - logits.logsumexp(-1)).tolist()
            firsts += (logits.argmax(-1) == ids).tolist()
        return values, firsts


def rolling_windows(ids: Ids, prefix: int, max_length: int, min_context: int = 1) -> Iterator[tuple[Ids, Ids]]:
    """Yield (context, continuation) windows in which every token of `ids` is predicted once.

    The first predicts from the prefix token; later ones predict as many new tokens as fit after `min_context` old
    ones, and the last, which has fewer new tokens, gets more old ones (lm-eval's get_rolling_token_windows).
    """
    if not 1 <= min_context <= max_length:
        raise ValueError(f"min_context is {min_context}, but it must be 1 to {max_length}, the model's context.")
    if not ids:
        return
    done = min(max_length, len(ids))
    yield [prefix], ids[:done]
    while done < len(ids):
        end = min(done + max_length - min_context + 1, len(ids))
        yield ids[max(0, end - max_length - 1) : done], ids[done:end]
        done = end
