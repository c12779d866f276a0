"""Writing answers: greedy generation until a stop text, as lm-eval's tasks of generated answers ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.decoding import Request
from model.generate import generate_all
from model.gpt import GPT
from model.sampling import Sampling
from model.tokenizer import Tokenizer

TOGETHER = 32
"""Texts that grow side by side; keys and values of so many are in memory."""


@dataclass(frozen=True)
class Written:
    """The text before the first of the stop texts, the tokens of the prompt that were read, and those that were cut."""

    text: str
    tokens: int
    cut: int = 0


class Writer:
    """Writes with one model. `chat` turns a prompt into the tokens after which the assistant answers; `stop` are the
    tokens that end a text, None = those that end a document; `on_read` is told how many tokens were just read or
    written.
    """

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        chat: Callable[[str], list[int]] | None = None,
        stop: Sequence[int] | None = None,
        on_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.model, self.tokenizer, self.chat, self.on_read = model, tokenizer, chat, on_read
        self.stop = stop or (tokenizer.eos, tokenizer.bos)

    def __call__(self, prompts: Sequence[str], until: Sequence[str], most: int) -> list[Written]:
        """Write at most `most` tokens after each prompt; texts grow side by side, and each is what it is alone.

        A prompt loses its beginning if it and `most` new tokens do not fit into the context together. Where the context
        has no room for more than the answer, which lm-eval refuses, half of it is the prompt's.
        """
        context = self.model.config.max_seq_len
        most = most if most < context else max(1, context // 2)
        whole = [(self.chat or self.tokenizer.encode)(prompt) for prompt in prompts]
        read = [ids[-(context - most) :] or [self.tokenizer.bos] for ids in whole]
        sampling = Sampling(stop=tuple(stop for stop in until if stop))
        made: list[Written] = []
        for start in range(0, len(read), TOGETHER):
            requests = [Request(ids, most, sampling, self.stop) for ids in read[start : start + TOGETHER]]
            for one in generate_all(
                self.model, requests, decode_bytes=self.tokenizer.decode_bytes, batch_size=TOGETHER
            ):
                ids, all_of_it = read[len(made)], whole[len(made)]
                self.on_read(len(ids) + len(one.ids))
                text = self.tokenizer.decode(one.ids)
                for stop in sampling.stop:
                    text = text.split(stop)[0]
                made.append(Written(text, len(ids), max(0, len(all_of_it) - len(ids))))
        return made
