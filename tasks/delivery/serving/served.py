"""A model of the lake that is being served: its prompts, its engine, and what it says of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.delivery.serving.engine import Engine, Piece, Ticket
from tasks.stage import Artifact

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.prompt_scores import PromptScores
    from model.sampling import Sampling
    from model.tokenizer import Tokenizer


class ContextExceeded(ValueError):
    """A prompt that is longer than the model's context."""


class NoChat(ValueError):
    """The messages do not fit what the model was taught."""


@dataclass(frozen=True)
class Message:
    """One message of a conversation; the role is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Wanted:
    """How texts go on from a prompt: the names and meanings are those of OpenAI's API."""

    max_tokens: int
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    stop: tuple[str, ...] = ()
    seed: int = 0
    top: int = 0
    """How many of the likeliest tokens are told at each place."""

    def sampling(self, number: int = 0) -> Sampling:
        """Return how the tokens of text `number` are drawn; raises ValueError if a setting is impossible."""
        from model.sampling import Sampling

        return Sampling(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=self.seed + number,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            stop=self.stop,
            logit_bias=self.logit_bias,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
        )


class Served:
    """A model in memory under the name that clients know it by."""

    def __init__(
        self,
        artifact: Artifact,
        name: str,
        *,
        device: str = "auto",
        slots: int = 16,
        queue: int = 128,
        kv_megabytes: float | None = None,
    ) -> None:
        """Load the model and start its engine, with so much memory for keys and values (None = as it says).

        Raises PermanentError and ValueError if it cannot be loaded, or if it writes no texts.
        """
        from model.chat import stop_ids
        from model.hardware import choose_device
        from tasks.training.trained import chat_template_of, load_trained

        self.model: GPT
        self.tokenizer: Tokenizer
        self.artifact, self.name = artifact, name
        self.model, self.tokenizer = load_trained(artifact, str(choose_device(device)))
        self.model.eval()
        if not self.model.config.causal or self.model.encoder is not None:
            raise ValueError(
                f"{artifact.name} is an {self.model.config.network}; only decoders can be served as chats and "
                "completions."
            )
        self.template = chat_template_of(artifact)
        self.ends = stop_ids(self.tokenizer, self.template)
        self.engine = Engine(
            self.model, self.tokenizer.decode_bytes, slots=slots, queue=queue, megabytes=kv_megabytes, name=name
        )

    @property
    def chats(self) -> bool:
        """Whether the model was taught to answer."""
        return self.template is not None

    @property
    def context(self) -> int:
        """Tokens that prompt and text share."""
        return self.model.config.max_seq_len

    @property
    def special_names(self) -> Mapping[str, int]:
        """The special tokens by name, with their ids."""
        return self.tokenizer.specials

    def text_ids(self, text: str, *, special: bool = True) -> list[int]:
        """Return a text's tokens, after <|bos|> with `special`. Special tokens that it spells are ordinary text."""
        begin = [self.tokenizer.bos] if special and self.tokenizer.has("bos") else []
        return [*begin, *self.tokenizer.encode(text)]

    def chat_ids(self, messages: Sequence[Message], given: str = "") -> list[int]:
        """Return the tokens after which the assistant answers; `given` is a text that the last message is about.

        Raises NoChat if the model was taught no chat, or if the messages are not at most one of the system, then turns
        that end with a user's.
        """
        from model.chat import prompt_ids

        if self.template is None:
            raise NoChat(f"The model {self.name} continues texts and was taught no chat; ask it by /v1/completions.")
        system, turns = "", list(messages)
        if turns and turns[0].role == "system":
            system = turns.pop(0).content
        for number, one in enumerate(turns):
            expected = "assistant" if number % 2 else "user"
            if one.role != expected:
                raise NoChat(
                    f"Message {number + 1 + len(messages) - len(turns)} is the {one.role}'s, but the {expected}'s turn "
                    "is next: the model knows one message of the system first, then user and assistant in turn."
                )
        if len(turns) % 2 == 0:
            raise NoChat("The last message must be the user's: it is what the model answers.")
        history = [(turns[i].content, turns[i + 1].content) for i in range(0, len(turns) - 1, 2)]
        return prompt_ids(self.tokenizer, turns[-1].content, given, system, history, self.template)

    def submit(
        self,
        prompts: Sequence[Sequence[int]],
        wanted: Wanted,
        tell: Callable[[Piece | Exception], None],
        *,
        stream: bool = True,
    ) -> Ticket:
        """Let `wanted.n` texts grow for each prompt; their choices are numbered prompt by prompt.

        Raises ContextExceeded, ValueError if a setting is impossible, EngineFull and EngineStopped.
        """
        from model.decoding import Request

        requests = []
        for prompt in prompts:
            if len(prompt) > self.context:
                raise ContextExceeded(
                    f"The model {self.name} has a context of {self.context:,} tokens, but the prompt has "
                    f"{len(prompt):,}; shorten it."
                )
            for number in range(wanted.n):
                requests.append(Request(prompt, wanted.max_tokens, wanted.sampling(number), self.ends, top=wanted.top))
        return self.engine.submit(requests, tell, stream=stream)

    def scored(self, ids: Sequence[int], top: int) -> Future[PromptScores]:
        """Ask for the log-probabilities of a prompt's own tokens."""
        from model.prompt_scores import prompt_scores

        return self.engine.call(lambda: prompt_scores(self.model, ids, top))

    def embedded(self, ids: Sequence[int]) -> Future[list[float]]:
        """Ask for a text's vector: the mean of its last states, of length 1."""
        from model.prompt_scores import embedding

        return self.engine.call(lambda: embedding(self.model, ids).tolist())

    def decode(self, ids: Sequence[int]) -> str:
        """Return tokens as text."""
        return self.tokenizer.decode(ids)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token stands for; those of a special token spell its name."""
        names = {id_: name for name, id_ in self.tokenizer.specials.items()}
        return names[token].encode() if token in names else self.tokenizer.decode_bytes([token])

    @property
    def drops_first_space(self) -> bool:
        """Whether an answer begins with a space that is no part of it, as SentencePiece puts one before each text."""
        from model.chat import answers_begin_texts

        begins = self.template is not None and answers_begin_texts(self.tokenizer, self.template)
        return begins and self.tokenizer.vocabulary.drops_first_space

    @property
    def jinja(self) -> str | None:
        """The chat template in the language of `transformers`; None if the model was taught no chat."""
        from model.huggingface.chat_template import jinja_template

        return jinja_template(self.tokenizer, self.template) if self.template else None
