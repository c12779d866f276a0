"""The config of the judge stage: which instructions are answered, who judges the answers, and how it is asked."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from tasks.evaluation.computing import ComputingConfig
from tasks.stage import Execution
from tasks.stage.config import Reference

SCORE_PROMPT = (
    "Given the input `{instruction}` and correct output `{expected}`, score the model response `{answer}` on a scale "
    "from 0 to 100, where 100 is the best score. Respond with the integer number only."
)
PAIR_PROMPT = (
    "Given the input `{instruction}` and correct output `{expected}`, which model response is better?\n\n"
    "Response A: `{first}`\n\nResponse B: `{second}`\n\n"
    "Respond with one letter only: A, B, or C if they are equally good."
)


class JudgeConfig(ComputingConfig):
    """Which instructions a model answers, which other model judges the answers, and how it is asked."""

    data: tuple[str, ...] = Field(
        (),
        description="instruction files or globs (json or jsonl, plain or compressed), in sft's formats; none = the "
        "pairs that sft held out, and only the model of sft is judged",
    )
    limit: int = Field(200, ge=1, description="largest number of instructions; which ones is decided by hash")
    answer_tokens: int = Field(
        128, ge=1, description="largest number of tokens of an answer, which is written greedily"
    )
    model: str = Field("llama3", min_length=1, max_length=200, description="the judge's name at its endpoint")
    prompt: str = Field(
        SCORE_PROMPT,
        max_length=20_000,
        description="what the judge is asked, for a score from 0 to 100, with {instruction}, {expected} and {answer}",
    )
    pair_prompt: str = Field(
        PAIR_PROMPT,
        max_length=20_000,
        description="what it is asked of two answers, for A, B or C, with {instruction}, {expected}, {first}, {second}",
    )
    max_tokens: int = Field(32, ge=1, description="tokens that the judge may write; one that reasons needs thousands")
    seed: int = Field(123, ge=0, description="sent to the judge, which is asked at temperature 0")
    against: str = Reference(
        description="a model of the lake (stage/key) whose answers to the same instructions are compared; empty = none"
    )
    base_url: str = Execution(
        "http://127.0.0.1:11434/v1",
        max_length=2000,
        description="where the judge is, with /v1: any server with OpenAI's chat completions; default: a local Ollama",
    )
    api_key_variable: str = Execution(
        "",
        pattern=r"^([A-Za-z_]\w*)?$",
        description="name of the environment variable that has the key for the endpoint; empty = none is sent",
    )
    concurrency: int = Execution(4, ge=1, le=256, description="requests at the same time")
    timeout_seconds: float = Execution(120.0, gt=0, description="seconds for one request, until the whole answer came")
    retries: int = Execution(3, ge=0, le=20, description="further tries of a request that failed")
    backoff_seconds: float = Execution(
        1.0, ge=0, description="pause before the second try; doubled for each, or longer if the server says so"
    )
    max_failures: float = Execution(
        0.05,
        ge=0,
        le=1,
        description="share of requests that may fail for good; with more, the stage fails and keeps what was judged",
    )

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("the address must be http://host:port/v1 or https://host/v1")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("the address must have no password, query or fragment; name a key in api_key_variable")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _prompts_show_the_answers(self) -> Self:
        for field, parts in (
            ("prompt", ("instruction", "answer")),
            ("pair_prompt", ("instruction", "first", "second")),
        ):
            if missing := [f"{{{part}}}" for part in parts if f"{{{part}}}" not in getattr(self, field)]:
                raise ValueError(f"{field} lacks {' and '.join(missing)}, so the judge would not see it")
        return self
