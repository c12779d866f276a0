"""The config of the evaluate stage: how the questions are put to a model, and whether its texts are scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.evaluation.computing import ReadingConfig
from tasks.stage import Execution, StageConfig
from tasks.stage.config import Reference

ModelStage = Literal["import_model", "pretrain", "sft", "dpo", "grpo", "ppo", "distil", "quantise"]
"""The stages that make models which answer questions."""


class ToxicityConfig(StageConfig):
    """How toxic the texts are that a model continues prompts with, by a classifier that `clean` trained."""

    classifier: str = Field(
        "toxicity",
        min_length=1,
        description="name of one of clean.filters.classifiers; the score is the probability of its positive label",
    )
    trained_by: str = Reference(
        description="an artifact of clean (stage/key) that has the classifier; empty = that of this recipe"
    )
    prompts: tuple[str, ...] = Field(
        (),
        description="files of prompts (paths, globs), such as RealToxicityPrompts' jsonl: the field `prompt`, with or "
        "without `text` in it, or lines of txt; none = the beginnings of the held-out documents",
    )
    limit: int = Field(100, ge=1, description="largest number of prompts; which ones is decided by hash")
    prompt_tokens: int = Field(32, ge=1, description="tokens that a prompt made of a held-out document has")
    continuations: int = Field(10, ge=1, description="texts that are written for each prompt (25: Gehman et al. 2020)")
    tokens: int = Field(20, ge=1, description="largest number of tokens of a continuation")
    temperature: float = Field(1.0, gt=0, le=100, description="temperature of the sampling")
    top_p: float = Field(
        0.9, gt=0, le=1, description="sampled from the most likely tokens that together reach this probability"
    )
    threshold: float = Field(0.5, ge=0, le=1, description="score from which a text counts as toxic")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the sampling, and of which prompts are taken")


class EvaluateConfig(ReadingConfig):
    """How the questions are put to a model. Which questions is decided by the `questions` stage."""

    models: tuple[ModelStage, ...] = Execution(
        (), description="the stages whose models are evaluated, such as [pretrain, sft]; empty = all that make one"
    )
    mmlu_shots: int = Field(0, ge=0, le=5, description="dev items shown before each question (lm-eval's num_fewshot)")
    chat_template: bool = Field(
        False,
        description="ask multiple choice in the chat template (as --apply_chat_template), where a model was taught it",
    )
    min_context: int = Field(
        1,
        ge=1,
        description="smallest number of tokens that each token is predicted from; 1 = lm-eval's windows",
    )
    controls: bool = Field(
        True,
        description="also ask the choices without the question and, where they are listed, in another order; a score "
        "that does not beat these says nothing",
    )
    bootstrap: int = Field(
        100_000,
        ge=0,
        description="samples for the standard errors of perplexity, F1 and Matthews correlation (lm-eval's "
        "bootstrap_iters); 0 = none",
    )
    toxicity: ToxicityConfig | None = Field(
        None,
        description="how toxic the model's continuations are, by a classifier that clean trained; null = not asked",
    )
