"""When an item of a benchmark counts as found: settings that decontaminate and evaluate share."""

from __future__ import annotations

from pydantic import Field

from tasks.stage.config import StageConfig


class DetectionConfig(StageConfig):
    """When an item of a benchmark counts as found in the training documents; the defaults are GPT-3's."""

    words: int = Field(
        13,
        ge=2,
        le=64,
        description="Length in words of the n-grams to look for; a shorter item is looked for as a whole",
    )
    shortest: int = Field(
        3, ge=1, le=64, description="Words that an item must have to be looked for; fewer words occur everywhere"
    )
    max_documents: int = Field(
        10,
        ge=0,
        description="Training documents that may have an n-gram before it counts as a common phrase and is ignored; "
        "0 = none is ignored",
    )
    min_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of an item's n-grams that training documents must have for it to be contaminated; 0 = one "
        "n-gram is enough",
    )
