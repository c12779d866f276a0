"""The config of the ask stage: which models are asked how many questions, and what they are given to read."""

from __future__ import annotations

from pydantic import Field

from tasks.evaluation.computing import ComputingConfig
from tasks.evaluation.evaluate.config import ModelStage
from tasks.stage import Execution


class AskConfig(ComputingConfig):
    """How models are asked about held-out pages."""

    models: tuple[ModelStage, ...] = Execution(
        (), description="the stages whose models are asked, such as [sft]; empty = all that make one that answers"
    )
    questions: int = Field(200, ge=1, description="largest number of questions, of those that the index has")
    passages: int = Field(
        5, ge=1, le=100, description="passages that a model is given, the best ones; fewer if its context is too short"
    )
    right: bool = Field(
        True, description="ask also with the page's passage that has the answer: what a better index could gain at most"
    )
    max_tokens: int = Field(96, ge=1, description="largest number of tokens of an answer")
    batch: int = Execution(32, ge=1, description="answers that grow at once")
