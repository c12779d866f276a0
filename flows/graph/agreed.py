"""What two stages must agree on: a value set in one section of the recipe also holds in the other if that is null."""

from __future__ import annotations

from flows.recipe import Recipe
from tasks.decontaminate import DecontaminateConfig
from tasks.evaluate import EvaluateConfig


def decontaminate_config(recipe: Recipe) -> DecontaminateConfig:
    """Return which benchmarks to look for: those of the section, else those that the models are asked."""
    own, asked = recipe.decontaminate, recipe.evaluate
    files = {
        name: getattr(own, name) if getattr(own, name) is not None else getattr(asked, name, "")
        for name in ("hellaswag", "mmlu")
    }
    return own.model_copy(update=files)


def evaluate_config(config: EvaluateConfig, recipe: Recipe) -> EvaluateConfig:
    """Return when an item counts as contaminated: as the section says, else as decontaminate does."""
    own = config.contamination
    return config.model_copy(update={"contamination": recipe.decontaminate.detection if own is None else own})
