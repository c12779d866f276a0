"""Writing answers: greedy generation until a stop text, as lm-eval's tasks of generated answers ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from model.generate import stream
from model.gpt import GPT
from model.tokenizer import Tokenizer


class Writer:
    """Writes with one model. `chat` turns a prompt into the tokens after which the assistant answers; `stop` are the
    tokens that end a text, None = those that end a document."""

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        chat: Callable[[str], list[int]] | None = None,
        stop: Sequence[int] | None = None,
    ) -> None:
        self.model, self.tokenizer, self.chat = model, tokenizer, chat
        self.stop = stop or (tokenizer.eos, tokenizer.bos)

    def __call__(self, prompt: str, until: Sequence[str], most: int) -> tuple[str, int, int]:
        """Return the text before the first of the stop texts, the tokens of the prompt that were read, and those cut.

        The prompt loses its beginning if prompt and `most` new tokens do not fit into the context together.
        """
        context = self.model.config.max_seq_len
        most = min(most, context - 1)
        whole = (self.chat or self.tokenizer.encode)(prompt)
        ids = whole[-(context - most) :] or [self.tokenizer.bos]
        written: list[int] = []
        for token in stream(self.model, ids, most, stop=self.stop):
            written.append(token)
            if any(stop in self.tokenizer.decode(written) for stop in until):
                break
        text = self.tokenizer.decode(written)
        for stop in until:
            text = text.split(stop)[0]
        return text, len(ids), len(whole) - len(ids) if whole else 0
