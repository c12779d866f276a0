"""Values that two stages must share: one set in one recipe section also applies to the other if it is null there."""

from __future__ import annotations

from flows.recipe.recipe import Recipe
from tasks.corpus.decontaminate import DecontaminateConfig
from tasks.synthetic.questions import QuestionsConfig


def decontaminate_config(recipe: Recipe) -> DecontaminateConfig:
    """Return the config with the benchmarks to look for: those of the section, else those the models are asked."""
    own, asked = recipe.decontaminate, recipe.questions
    files = {
        name: getattr(asked, name) if getattr(own, name) is None else getattr(own, name)
        for name in ("hellaswag", "mmlu")
    }
    return own.model_copy(update=files)


def questions_config(recipe: Recipe) -> QuestionsConfig:
    """Return the config with the rule for contaminated items: that of the section, else decontaminate's."""
    own = recipe.questions.contamination
    return recipe.questions.model_copy(update={"contamination": recipe.decontaminate.detection if own is None else own})
