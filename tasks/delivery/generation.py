"""Text generation with a trained model from the lake: answers or continuations, one piece by piece or many at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.delivery.excerpt import excerpt
from tasks.stage import Artifact

if TYPE_CHECKING:
    from model.chat import Prompt
    from model.decoding import Finish, Generation, Request
    from model.gpt import GPT
    from model.sampling import Sampling
    from model.tokenizer import Tokenizer

BATCH = 32
"""Texts that grow at the same time."""


@dataclass(frozen=True)
class Text:
    """What a model wrote for a prompt, why it ended, and how sure the model was of it."""

    prompt: str
    seed: int
    text: str
    finish: Finish
    prompt_tokens: int
    tokens: int
    mean_log_prob: float | None
    """In nats per token; null = no token was generated."""
    prompt_tokens_left_out: int
    tokens_slid_out: int
    is_source: bool = False
    """Whether an encoder read the prompt, which then takes no room from the text."""
    is_quotation: bool | None = None
    """Whether the text stands in the prompt's input, word for word; null = there is no input, or no text."""
    excerpt: str | None = None
    """The lines of the input that the model read, if there was no room for all; null = all, or a cut input."""

    def notes(self, max_tokens: int, context: int, given: str = "the input") -> list[str]:
        """Return what a person should know beside the text, in sentences; `given` is what the prompt was about."""
        said = []
        if self.prompt_tokens_left_out:
            part = f"last {self.prompt_tokens_left_out:,} tokens of its text" if self.is_source else ""
            part = part or f"first {self.prompt_tokens_left_out:,} tokens of its text"
            if self.is_quotation is not None:
                part = f"last {self.prompt_tokens_left_out:,} tokens of {given}"
            done = f"the {part} were left out"
            if self.excerpt is not None:
                begin = self.excerpt.split("\n", 1)[0][:60]
                done = f"of {given}, the model read only what fits the question best, from {begin!r} on"
            said.append(
                f"The prompt has {self.prompt_tokens_left_out + self.prompt_tokens:,} tokens, but the model's context "
                f"only {context:,}: {done}."
            )
        if self.tokens_slid_out:
            said.append(
                f"Prompt and answer are longer than the model's context of {context:,} tokens: the oldest "
                f"{self.tokens_slid_out:,} slid out of its sight."
            )
        if self.finish == "context":
            both = "it" if self.is_source else f"with the prompt's {self.prompt_tokens:,} it"
            said.append(
                f"The answer ends after {self.tokens:,} of {max_tokens:,} tokens: {both} fills the model's context of "
                f"{context:,}."
            )
        if self.is_quotation is not None:
            said.append(f"The answer {'stands' if self.is_quotation else 'does not stand'} in {given} word for word.")
        if self.mean_log_prob is not None:
            said.append(
                f"Mean log-probability: {self.mean_log_prob:.3f} nats per token, a probability of "
                f"{math.exp(self.mean_log_prob):.1%} each in the geometric mean."
            )
        return said


def sampling(
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    stop: tuple[str, ...] = (),
) -> Sampling:
    """Return how tokens are drawn; raises ValueError if a setting is impossible."""
    from model.sampling import Sampling

    return Sampling(temperature, top_k, top_p, seed, min_p, repetition_penalty, stop)


@dataclass(frozen=True)
class _Prompt:
    """A prompt in tokens, shortened by `left_out` if it had to be; `opening` of them stay when the context slides."""

    text: str
    ids: list[int]
    opening: int
    left_out: int
    source: list[int] | None = None
    given: str = ""
    excerpt: str | None = None


class Writer:
    """A model of the lake that answers if it was taught a chat template, and else continues texts.

    Prompt and text share the model's context, unless an encoder reads the prompt. The prompt has priority: if both do
    not fit, the text is shortened, or with `slide` goes on without its oldest quarter. Only a prompt that is longer
    than the context itself loses the beginning of its text.
    """

    def __init__(self, artifact: Artifact, device: str = "auto", *, slide: bool = False) -> None:
        """Load the model. Raises ValueError if the device is wrong, PermanentError if its tokenizer is another."""
        from model.chat import answers_begin_texts, stop_ids
        from model.hardware import choose_device
        from tasks.training.trained import chat_template_of, load_trained

        self.model: GPT
        self.tokenizer: Tokenizer
        self.model, self.tokenizer = load_trained(artifact, str(choose_device(device)))
        self.template, self.slide = chat_template_of(artifact), slide
        self.ends = stop_ids(self.tokenizer, self.template)
        begins = self.template is not None and answers_begin_texts(self.tokenizer, self.template)
        self.drops_space = begins and self.tokenizer.vocabulary.drops_first_space

    def write(
        self,
        prompts: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        count: int = 1,
        *,
        given: str = "",
        show: Callable[[str], None] | None = None,
    ) -> list[Text]:
        """Return `count` texts for each prompt, with the seeds from `sampling.seed` on.

        `given` is the text that the prompts are about, such as a page: a model that answers gets it as its input, one
        that continues texts before the prompt. If it is too long, the model reads the lines that fit the prompt best,
        or if none does, all but its end. `show` is given the text piece by piece while it grows, if there is only one.
        Raises ValueError if a prompt or a setting does not fit the model.
        """
        from model.decoding import Request
        from model.generate import generate_all

        prepared = [one for prompt in prompts for one in [self._prepare(prompt, given, max_tokens)] * count]
        samplings = [replace(sampling, seed=sampling.seed + number) for _ in prompts for number in range(count)]
        requests = [
            Request(one.ids, max_tokens, drawn, self.ends, one.opening if self.slide else None, one.source)
            for one, drawn in zip(prepared, samplings, strict=True)
        ]
        if show and len(requests) == 1:
            made = [self._grow(requests[0], show)]
        else:
            made = generate_all(self.model, requests, decode_bytes=self.tokenizer.decode_bytes, batch_size=BATCH)
        return [self._text(*one) for one in zip(prepared, samplings, made, strict=True)]

    def _prepare(self, prompt: str, given: str, max_tokens: int) -> _Prompt:
        """Return a prompt in tokens, in the chat template if the model was taught one."""
        from model.chat import fitted
        from model.seq2seq import pair_ids

        tokenizer, context = self.tokenizer, self.model.config.max_seq_len
        if self.model.encoder is not None:
            if given:
                raise ValueError("The model reads one text and writes another; give it no input besides.")
            source = list(pair_ids(tokenizer, prompt, "").source)
            left_out = max(0, len(source) - context)
            if left_out:  # its end goes, as in `seq2seq.long_sources: cut`
                source = [*source[: context - 1], tokenizer.eos]
            return _Prompt(prompt, [tokenizer.bos], 1, left_out, source)
        asked, part = self._asked(prompt, given), None
        # A prompt that has to be cut leaves at most a quarter of the context for the answer.
        room = context - min(max_tokens, context // 4)
        whole = len(asked.ids)
        if given and whole > context:
            part = excerpt(given, prompt, lambda text: len(self._asked(prompt, text).ids) <= room)
            asked = asked if part is None else self._asked(prompt, part)
        ids, _ = fitted(tokenizer, asked, context if len(asked.ids) <= context else room)
        # A question stays in view if it leaves half of the context for the answer; a text that is continued grows old.
        opening = len(ids) if self.template and 2 * len(ids) <= context else int(tokenizer.has("bos"))
        return _Prompt(prompt, ids, opening, whole - len(ids), given=given, excerpt=part)

    def _asked(self, prompt: str, given: str) -> Prompt:
        """Return a prompt about a given text as tokens, with what may be left out of them: the text's end first."""
        from model.chat import Prompt, prompt_of

        tokenizer = self.tokenizer
        if self.template:
            return prompt_of(tokenizer, prompt, given, template=self.template)
        begin = [tokenizer.bos] if tokenizer.has("bos") else []
        if given:
            page, rest = tokenizer.encode(given), tokenizer.encode(f"\n\n{prompt}")
            ends = range(len(begin) + len(page) - 1, len(begin) - 1, -1)
            return Prompt((*begin, *page, *rest), tuple(ends))
        ids = [*begin, *tokenizer.encode(prompt)]
        return Prompt(tuple(ids), tuple(range(len(begin), len(ids))))

    def prompt_tokens(self, prompt: str, given: str) -> int:
        """Return how many tokens a prompt has with the text that it is about, before it is shortened."""
        return len(self._asked(prompt, given).ids)

    def _grow(self, request: Request, show: Callable[[str], None]) -> Generation:
        from model.decoding import Decoder

        decoder = Decoder(self.model, self.tokenizer.decode_bytes)
        made, shown = decoder.add(request), 0
        while made.finish is None:
            decoder.step()
            text = self._shown(made)
            show(text[shown:])
            shown = len(text)
        return made

    def _shown(self, made: Generation) -> str:
        """Return the text without the space that SentencePiece puts before one, where an answer begins a text."""
        text = made.text or ""
        return text[1:] if self.drops_space and text[:1] == " " else text

    def _text(self, prompt: _Prompt, sampling: Sampling, made: Generation) -> Text:
        assert made.finish is not None
        return Text(
            prompt=prompt.text,
            seed=sampling.seed,
            text=self._shown(made),
            finish=made.finish,
            prompt_tokens=len(prompt.source or prompt.ids),
            tokens=len(made.ids),
            mean_log_prob=made.mean_log_prob,
            prompt_tokens_left_out=prompt.left_out,
            tokens_slid_out=made.left_out,
            is_source=prompt.source is not None,
            is_quotation=is_quotation(self._shown(made), prompt.given),
            excerpt=prompt.excerpt,
        )


def is_quotation(text: str, given: str) -> bool | None:
    """Return whether a text stands in another one, blanks and line breaks aside; None if one of them is empty."""
    words = " ".join(text.split())
    return words in " ".join(given.split()) if words and given else None
