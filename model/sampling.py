"""Sampling: how the next token is chosen from the logits, each text with random numbers of its own.

The order is that of `transformers`: repetition penalty, temperature, top-k, top-p, min-p.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, and which strings end a text. The default is greedy: always the most likely token.

    temperature 0 = greedy; top_k 0, top_p 1 and min_p 0 = from all tokens; repetition_penalty 1 = none. A text ends
    before the first of the strings `stop` that is complete in it.

    As in OpenAI's API: `logit_bias` is added to the logits of single tokens, as pairs of an id and a number;
    `presence_penalty` is taken from the logit of each token that the text has already, `frequency_penalty` once for
    each time. The prompt does not count.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    logit_bias: tuple[tuple[int, float], ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0

    def __post_init__(self) -> None:
        # Written so that nan, for which every comparison is false, is rejected too.
        if not (0 <= self.temperature < math.inf and self.top_k >= 0 and 0 < self.top_p <= 1):
            raise ValueError(f"{self} needs a finite temperature ≥ 0, top_k ≥ 0 and 0 < top_p ≤ 1.")
        if not (0 <= self.min_p <= 1 and 0 < self.repetition_penalty < math.inf):
            raise ValueError(f"{self} needs 0 ≤ min_p ≤ 1 and a finite repetition_penalty > 0 (1 = none).")
        if not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"The seed {self.seed} does not fit 64 bits; give one from 0 to 2^64 - 1.")
        if isinstance(self.stop, str) or not all(self.stop):
            raise ValueError(f"stop is {self.stop!r}, but it must be a tuple of strings, none of them empty.")
        numbers = (self.presence_penalty, self.frequency_penalty, *(bias for _, bias in self.logit_bias))
        if not all(map(math.isfinite, numbers)):
            raise ValueError("presence_penalty, frequency_penalty and the numbers of logit_bias must be finite.")


GREEDY = Sampling()
"""Always the most likely token."""


def penalised(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Return `logits` (…, V) with every token that is `seen` (bool, …, V) made less likely (Keskar et al. 2019).

    A positive logit is divided by the penalty, a negative one multiplied by it.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def filtered(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities (B, V) to draw from, given logits (B, V); those of `candidates`, all others are 0."""
    probabilities, ids = candidates(logits, sampling)
    return probabilities if ids is None else torch.zeros_like(logits).scatter(-1, ids, probabilities)


def candidates(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """Return probabilities (B, N) and the ids (B, N) they belong to, in rising order; None = N is the vocabulary.

    Temperature, then top-k, top-p, min-p. top_p keeps the smallest set of most likely tokens whose probability reaches
    it, one token at least (Holtzman et al. 2020); min_p keeps the tokens at least that likely in relation to the most
    likely one (Nguyen et al. 2024).
    """
    # The largest logit is shifted to 0 before the division: a temperature of 1e-30, and what is below it is no
    # different, then turns the others into -inf and leaves it at 0; logits / temperature would give inf - inf = nan.
    logits = (logits - logits.amax(dim=-1, keepdim=True)) / max(sampling.temperature, 1e-30)
    ids = None
    if 0 < sampling.top_k < logits.shape[-1]:
        logits, ids = _top_k(logits, sampling.top_k)
    probabilities = logits.softmax(dim=-1)
    if sampling.top_p < 1:
        probabilities, ids = _top_p(probabilities, ids, sampling.top_p)
    if sampling.min_p > 0:
        least = probabilities.amax(dim=-1, keepdim=True) * sampling.min_p
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    if sampling.top_p < 1 or sampling.min_p > 0:
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return probabilities, ids


def _top_k(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest logits of each row with their ids; if the last of them has equals, these too."""
    values, ids = logits.topk(k + 1, dim=-1)
    floor = values[..., k - 1 : k]
    equals = bool((values[..., k:] >= floor).any())
    most = max(k, int((logits >= floor).sum(dim=-1).max())) if equals else k
    if most > k:
        ids = logits.topk(most, dim=-1).indices
    ids = ids[..., :most].sort(dim=-1).values
    logits = logits.gather(-1, ids)
    return logits.masked_fill(logits < floor, -torch.inf), ids


NUCLEUS = 256
"""Tokens that are sorted first: the nucleus of a trained model rarely has more, and sorting 50,304 takes 4 ms."""
WIDE = 8
"""The share of the vocabulary that is sorted next, 1 / WIDE; finding more than that costs as much as to sort all."""


def _top_p(probabilities: Tensor, ids: Tensor | None, p: float) -> tuple[Tensor, Tensor | None]:
    """Return the probabilities of the nucleus of each row, the others set to 0 or left out, and their ids."""
    size = probabilities.shape[-1]
    needed = 0.0
    for count in (NUCLEUS, size // WIDE):
        if not max(needed, NUCLEUS - 1) < count < size:
            continue
        places = probabilities.topk(count, dim=-1).indices.sort(dim=-1).values
        some = probabilities.gather(-1, places)
        nucleus = _nucleus(some, p)
        # Only if the nucleus ends among them and no equal of its last token was left out.
        last, least = nucleus.masked_fill(nucleus == 0, torch.inf).amin(dim=-1), some.amin(dim=-1)
        if bool((last > least).all()):
            return nucleus, places if ids is None else ids.gather(-1, places)
        # No token that was left out has more than the least of these.
        needed = count + float(((p - some.sum(dim=-1)) / least).amax())
    return _nucleus(probabilities, p), ids


def _nucleus(probabilities: Tensor, p: float) -> Tensor:
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(dim=-1) - ordered >= p
    return probabilities.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)


class Drawing:
    """The state of one text's sampling: how many tokens were drawn, and which the repetition penalty has to know."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], vocab_size: int, device: torch.device) -> None:
        self.sampling = sampling
        self.filters = (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)
        self.drawn = 0
        self.seen: Tensor | None = None
        if sampling.repetition_penalty != 1:
            self.seen = torch.zeros(vocab_size, dtype=torch.bool, device=device)
            self.seen[list(prompt)] = True
        self.bias: Tensor | None = None
        """What is added to the logits (V): the bias that was asked for, less the penalties of what was written."""
        if sampling.logit_bias or sampling.presence_penalty or sampling.frequency_penalty:
            self.bias = torch.zeros(vocab_size, device=device)
            for token, bias in sampling.logit_bias:
                self.bias[token] += bias
        self._written: set[int] = set()

    def changed(self, logits: Tensor) -> Tensor:
        """Return the logits (V) with what this text makes more or less likely."""
        if self.seen is not None:
            logits = penalised(logits, self.seen, self.sampling.repetition_penalty)
        return logits if self.bias is None else logits + self.bias

    def take(self, token: int) -> None:
        """Know that `token` was drawn."""
        if self.seen is not None:
            self.seen[token] = True
        if self.bias is not None:
            first = token not in self._written
            self.bias[token] -= self.sampling.frequency_penalty + first * self.sampling.presence_penalty
            self._written.add(token)

    def next_key(self) -> int:
        """Return the key of the next token's random numbers: it follows from the seed and the place alone."""
        self.drawn += 1
        return _mixed(_mixed(self.sampling.seed) + self.drawn)


def choose(logits: Tensor, drawings: Sequence[Drawing]) -> Tensor:
    """Return one token (int64, B) for each row of `logits` (B, V) by that row's own sampling.

    The token is that of the largest probability / exponential noise (the Gumbel-max trick). The noise of a token
    follows from the seed, the place in the text and the token's id, so a row does not depend on the rows beside it, and
    probabilities that differ in their last digits choose another token only where two are that close.
    """
    changing = [number for number, one in enumerate(drawings) if one.seen is not None or one.bias is not None]
    if changing:
        logits = logits.clone()
        for number in changing:
            logits[number] = drawings[number].changed(logits[number])
    tokens = logits.argmax(dim=-1)
    alike: dict[tuple[float, ...], list[int]] = {}
    for number, drawing in enumerate(drawings):
        if drawing.sampling.temperature > 0:
            alike.setdefault(drawing.filters, []).append(number)
    for numbers in alike.values():
        some = logits if len(numbers) == len(drawings) else logits[numbers]
        probabilities, ids = candidates(some, drawings[numbers[0]].sampling)
        keys = torch.tensor([[drawings[number].next_key()] for number in numbers], device=logits.device)
        noise = exponential(keys, torch.arange(logits.shape[-1], device=logits.device) if ids is None else ids)
        places = (probabilities / noise).argmax(dim=-1, keepdim=True)
        tokens[numbers] = (places if ids is None else ids.gather(-1, places))[:, 0]
    for number in changing:
        drawings[number].take(int(tokens[number]))
    return tokens


def exponential(keys: Tensor, ids: Tensor) -> Tensor:
    """Return exponentially distributed noise, float32 (B, N), for keys int64 (B, 1) and ids int64 (B, N) or (N).

    It is number `id` of the SplitMix64 generator that starts at the key (Steele et al. 2014), the same on every device.
    """
    bits = ids * _GOLDEN + keys
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        bits = (bits ^ _shifted(bits, shift)).mul_(factor)
    bits = bits ^ _shifted(bits, 31)
    # 24 bits as far as float32 goes, and below them 24 more: near 0, where the largest quotients come from, the steps
    # are then fine enough for the rarest token.
    uniform = _shifted(bits, 40).float().mul_(2.0**-24).add_((bits & 0xFFFFFF).float().add_(0.5).mul_(2.0**-48))
    return torch.log1p(uniform.neg_()).neg_()


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Shift to the right with zeros coming in, which torch's shift of a signed number does not do."""
    return (bits >> places).bitwise_and_((1 << (64 - places)) - 1)


def _signed(number: int) -> int:
    """Return the int64 with the same 64 bits."""
    return (number + 2**63) % 2**64 - 2**63


_GOLDEN, _FIRST, _SECOND = map(_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _mixed(number: int) -> int:
    """Mix the bits of a number as SplitMix64 does."""
    number = (number + _GOLDEN) % 2**64
    number = (number ^ number >> 30) * _FIRST % 2**64
    number = (number ^ number >> 27) * _SECOND % 2**64
    return _signed(number ^ number >> 31)
