"""The config of the index stage: how long passages are, and how many questions measure it."""

from __future__ import annotations

from pydantic import Field

from tasks.stage import Execution, StageConfig


class IndexConfig(StageConfig):
    """How pages are cut into passages, which questions find."""

    passage_words: int = Field(
        40,
        ge=5,
        le=100_000,
        description="most words of a passage; a character of a script without spaces is a word. Passages have to fit "
        "the model's context beside question and answer: 40 words of English are about 65 tokens",
    )
    passage_characters: int = Field(
        1000, ge=50, le=1_000_000, description="most characters of a passage, for texts with long or few words"
    )
    answer_characters: int = Field(
        240, ge=20, description="longest answer of the questions about held-out pages that measure the index"
    )
    measured: int = Field(400, ge=0, description="largest number of such questions; 0 = the index is not measured")
    workers: int = Execution(0, ge=0, description="processes; 0 = one per core, at most one per 8 MB of documents")
