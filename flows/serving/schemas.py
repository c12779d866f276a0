"""What clients may send: the fields of OpenAI's API, and a few of vLLM's for sampling.

`null` means that a field is absent. A field that is known, not done here, and would change the answer is refused; one
that changes nothing is ignored. Unknown fields are refused as OpenAI does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, field_validator, model_validator
from pydantic_core import PydanticCustomError

MAX_CHOICES = 128
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 1000
MAX_TOKENS = 1_000_000
MAX_TOP = 20
MAX_MESSAGES = 2000
MAX_PROMPTS = 2048
MAX_IDS = 1_000_000
MAX_PASSAGES = 100

Id = Annotated[int, Field(ge=0, lt=2**31)]
Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]
Text = Annotated[str, Field(max_length=20_000_000)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MAX_IDS)]
OneOrMany = (
    Text
    | Ids
    | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
    | Annotated[list[Ids], Field(min_length=1, max_length=MAX_PROMPTS)]
)
"""A text or several, each as characters or as token ids."""


class Body(BaseModel):
    """The base of all bodies."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    refused: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """Known fields that are not done, with the values that ask for nothing."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_is_not_done(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kept = dict(given)
        for name, harmless in cls.refused.items():
            value = kept.pop(name, None)
            if value is not None and not any(value == one and type(value) is type(one) for one in harmless):
                raise PydanticCustomError(
                    "refused", "{field} is not supported by this server; leave it out", {"field": name}
                )
        return kept

    @field_validator("*", mode="after", check_fields=False)
    @classmethod
    def _is_unicode(cls, value: Any) -> Any:
        _check_unicode(value)
        return value


def _check_unicode(value: Any) -> None:
    """Raise ValueError for half a surrogate pair, which JSON can spell and no text can hold."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"half of a surrogate pair at character {error.start + 1} is no text") from None
    elif isinstance(value, list):
        for one in value:
            _check_unicode(one)


class StreamOptions(BaseModel):
    """What a stream tells besides its text."""

    model_config = ConfigDict(extra="forbid")
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Sampled(Body):
    """What chats and completions have in common."""

    model: Annotated[str, Field(max_length=500)] | None = None
    max_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1000)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=2**31)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=1000)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=1024)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOPS)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # these change nothing in what is answered
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    parallel_tool_calls: bool | None = None

    @field_validator("logit_bias")
    @classmethod
    def _has_ids(cls, bias: dict[str, float] | None) -> dict[str, float] | None:
        for key in bias or {}:
            if not (key.isascii() and key.isdigit() and len(key) < 10):
                raise ValueError(f"the key {key[:40]!r} is no token id")
        return bias

    @model_validator(mode="after")
    def _has_options_only_for_streams(self) -> Sampled:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only for streams: set stream to true, or leave it out")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def biases(self) -> tuple[tuple[int, float], ...]:
        """The logit bias as pairs."""
        return tuple((int(token), bias) for token, bias in (self.logit_bias or {}).items())

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionBody(Sampled):
    """POST /v1/completions: texts, or token ids, to go on from."""

    refused = {"suffix": ("",), "best_of": (1,)}

    prompt: OneOrMany
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP)] | None = None


class TextPart(BaseModel):
    """A part of a message; others than text cannot be read."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["text"]
    text: Text

    @field_validator("text")
    @classmethod
    def _is_unicode(cls, value: str) -> str:
        _check_unicode(value)
        return value


class MessageBody(Body):
    """One message of a conversation."""

    refused = {"tool_calls": ([],), "function_call": (), "audio": ()}

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(max_length=1000)] | None = None
    name: Annotated[str, Field(max_length=500)] | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> MessageBody:
        if self.content is None:
            raise ValueError(f"the {self.role}'s message has no content")
        return self

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or ())


class ChatBody(Sampled):
    """POST /v1/chat/completions: a conversation to answer."""

    refused = {
        "tools": ([],), "tool_choice": ("none", "auto"), "functions": ([],), "function_call": ("none", "auto"),
        "response_format": ({"type": "text"},), "modalities": (["text"],), "audio": (), "reasoning_effort": ("none",),
        "web_search_options": (), "verbosity": ("medium",), "prediction": (),
    }  # fmt: skip

    messages: Annotated[list[MessageBody], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP)] | None = None
    # true, or the largest number of passages: answer from the pages of the corpus, and name them
    textmill_sources: StrictBool | Annotated[StrictInt, Field(ge=0, le=MAX_PASSAGES)] | None = None

    @model_validator(mode="after")
    def _asks_for_top_with_logprobs(self) -> ChatBody:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: set it to true")
        return self


class EmbeddingBody(Body):
    """POST /v1/embeddings: texts, or token ids, of which vectors are wanted."""

    input: OneOrMany
    model: Annotated[str, Field(max_length=500)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class VoteBody(Body):
    """POST /v1/textmill/votes: which of two answers to a conversation was better."""

    prompt: Annotated[list[MessageBody], Field(min_length=1, max_length=MAX_MESSAGES)]
    chosen: Text
    rejected: Text
    chosen_model: Annotated[str, Field(max_length=500)] | None = None
    rejected_model: Annotated[str, Field(max_length=500)] | None = None


class TokenizeBody(Body):
    """POST /tokenize: a text whose tokens are wanted; as vLLM's."""

    prompt: Text
    model: Annotated[str, Field(max_length=500)] | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None


class DetokenizeBody(Body):
    """POST /detokenize: tokens whose text is wanted; as vLLM's."""

    tokens: Annotated[list[Id], Field(max_length=MAX_IDS)]
    model: Annotated[str, Field(max_length=500)] | None = None
