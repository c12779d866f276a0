"""What two stages must agree on: a value set in one section of the recipe also holds in the other if that is null."""

from __future__ import annotations

from flows.recipe.recipe import Recipe
from tasks.corpus.decontaminate import DecontaminateConfig
from tasks.synthetic.questions import QuestionsConfig


def decontaminate_config(recipe: Recipe) -> DecontaminateConfig:
    """Return which benchmarks to look for: those of the section, else those that the models are asked."""
    own, asked = recipe.decontaminate, recipe.questions
    files = {
        name: getattr(asked, name) if getattr(own, name) is None else getattr(own, name)
        for name in ("hellaswag", "mmlu")
    }
    return own.model_copy(update=files)


def questions_config(recipe: Recipe) -> QuestionsConfig:
    """Return when an item counts as contaminated: as the section says, else as decontaminate does."""
    own = recipe.questions.contamination
    return recipe.questions.model_copy(update={"contamination": recipe.decontaminate.detection if own is None else own})
