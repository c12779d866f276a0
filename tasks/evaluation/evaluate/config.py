"""The config of the evaluate stage: how the questions are put to a model."""

from __future__ import annotations

from pydantic import Field

from tasks.evaluation.computing import ReadingConfig


class EvaluateConfig(ReadingConfig):
    """How the questions are put to a model. Which questions is decided by the `questions` stage."""

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
