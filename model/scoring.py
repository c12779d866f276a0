"""Scoring: the log-likelihood a model assigns to a text, computed exactly as in lm-evaluation-harness 0.4.13.

Pairs of context and continuation for multiple choice, whole texts for perplexity. Pairs are encoded, truncated from
the left and split into windows in the same way, with a float32 log-softmax, so the numbers are comparable with
published ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from model.gpt import GPT

Ids = list[int]


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
    """

    def __init__(
        self,
        model: GPT,
        encode: Callable[[str], Ids],
        prefix: int,
        batch_tokens: int = 8192,
        chat: Callable[[str], Ids] | None = None,
    ) -> None:
        self.model, self.encode, self.prefix, self.batch_tokens = model.eval(), encode, prefix, batch_tokens
        self.chat = chat
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
            return self.chat(context), self.encode(continuation.removeprefix(" "))
        if context == "":
            ids = self.encode(continuation)
            return (ids[:1], ids[1:]) if ids[:1] == [self.prefix] else ([self.prefix], ids)
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        before = self.encode(stripped)
        return before or [self.prefix], self.encode(stripped + continuation)[len(before) :]

    def fits(self, continuation: Ids) -> bool:
        """Whether a continuation can be scored: it has tokens, and no more than the model's context."""
        return 0 < len(continuation) <= self.max_length

    @torch.inference_mode()
    def score_ids(self, pairs: Sequence[tuple[Ids, Ids]]) -> list[Score]:
        """Return the score of each (context ids, continuation ids); a context that is too long is cut from the left."""
        inputs = []
        for context, continuation in pairs:
            if not self.fits(continuation):
                raise ValueError(
                    f"A continuation of {len(continuation)} tokens cannot be scored: it must have 1 to "
                    f"{self.max_length}, the model's context."
                )
            inputs.append(tuple((context + continuation)[-(self.max_length + 1) :][:-1]))
        scores: list[Score | None] = [None] * len(pairs)
        asking: dict[tuple[int, ...], list[int]] = {}
        for number, row in enumerate(inputs):  # one-token choices share their whole input: one forward pass for all
            asking.setdefault(row, []).append(number)
        for rows in self._batches(list(asking)):
            hidden = self.model.hidden(_padded(rows, self.model.device))
            for row, states in zip(rows, hidden, strict=True):
                for number in asking[row]:
                    context, continuation = pairs[number]
                    cut = len(context) + len(continuation) - 1 - len(row)
                    scores[number] = self._score(states[: len(row)], continuation, cut)
        return [score for score in scores if score is not None]

    def _score(self, states: torch.Tensor, continuation: Ids, cut: int) -> Score:
        """Score the continuation whose tokens are predicted by the last of `states` (T, C)."""
        wanted = torch.tensor(continuation, device=states.device)[:, None]
        logits = torch.nn.functional.linear(states[-len(continuation) :], self.model.output_weight).float()
        chosen = logits.log_softmax(dim=-1).gather(1, wanted)
        is_greedy = bool((logits.argmax(dim=-1, keepdim=True) == wanted).all())
        return Score(chosen.sum().item(), is_greedy, cut)

    def _batches(self, rows: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
        """Yield rows of similar length, longest first, as many as fit into `batch_tokens` with padding."""
        rows = sorted(rows, key=len, reverse=True)
        start = 0
        while start < len(rows):
            count = max(1, self.batch_tokens // len(rows[start]))
            yield rows[start : start + count]
            start += count


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


def _padded(rows: Sequence[tuple[int, ...]], device: torch.device) -> torch.Tensor:
    """Return rows as one tensor, padded on the right: in a causal model no token of a row sees the padding after it."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.tensor(row)
    return ids.to(device)
