"""The config of dedup: which levels run, how similar is too similar, and which document is kept."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tasks.stage import Execution, StageConfig
from tasks.stage.config import Reference

# Measured on 27,000 documents of 3 kB with planted edits: `web` confirms the duplicates that FineWeb aims at with
# 5-word shingles at .75 to .8; `light-edits` also finds 99 % of the copies in which every twentieth word was changed
# (0.4 % of its removals are unjustified).
PROFILES: dict[str, dict[str, Any]] = {
    "web": {"shingle_words": 5, "threshold": 0.8, "bands": 20, "rows": 6},
    "light-edits": {"shingle_words": 2, "threshold": 0.7, "bands": 32, "rows": 5},
}


class RepeatsConfig(StageConfig):
    """Which of the pieces of text that occur in several documents are cut."""

    enabled: bool = Field(False, description="Cut pieces that other documents have too")
    copies: int = Field(
        1,
        ge=0,
        description="Documents that keep a repeated piece, the preferred ones first; 0 cuts it from all of them",
    )
    min_words: int = Field(8, ge=1, description="Words that a piece must have to be cut; shorter ones are always kept")


class LinesConfig(RepeatsConfig):
    """Which of the lines that occur in several documents are cut; by default three documents keep such a line."""

    copies: int = Field(
        3,
        ge=0,
        description="Documents that keep a repeated piece, the preferred ones first; 0 cuts it from all of them",
    )


class DedupConfig(StageConfig):
    """Which copies are looked for, how similar two documents must be for one to be removed, and which one is kept."""

    url: bool = Field(
        True,
        description="Of documents with the same canonical URL keep the one fetched last; if none has a date of "
        "fetching, as with rows of files (such as passages of a page), all are kept",
    )
    exact: bool = Field(True, description="Remove documents whose text is the same except for spacing and Unicode form")
    near: bool = Field(True, description="Remove near-duplicates: MinHash nominates, true Jaccard similarity decides")
    paragraphs: RepeatsConfig = Field(
        RepeatsConfig(), description="Cut paragraphs (between blank lines) that preferred documents have too"
    )
    lines: LinesConfig = Field(
        LinesConfig(), description="Cut lines that preferred documents have too; menus and boilerplate"
    )
    min_left_words: int = Field(
        20,
        ge=0,
        description="Words that must be left in a document from which pieces were cut; otherwise it is removed",
    )
    keep: Literal["longest", "best_quality", "newest", "oldest"] = Field(
        "longest",
        description="Which of several near or exact duplicates is kept: the longest, the one with the highest "
        "`quality`, or the one fetched last or first (to the minute). Among equals, the longest, then the one with the "
        "smallest id",
    )
    profile: Literal["web", "light-edits"] = Execution(
        "web",
        description="Values for the four fields below, unless they are set: `web` (5 words, 0.8, 20 bands of 6) or "
        "`light-edits` (2 words, 0.7, 32 bands of 5), which also finds copies with a changed word in twenty",
    )
    shingle_words: int = Field(
        5,
        ge=1,
        le=32,
        description="Words per shingle; the similarity of two documents is that of their sets of shingles",
    )
    threshold: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Jaccard similarity of the shingle sets at or above which two documents are duplicates",
    )
    bands: int = Field(
        20,
        ge=1,
        le=256,
        description="Bands of the signature; documents that agree in a whole band are compared. 20 bands of 6 values "
        "find 99.8 % of the pairs at 0.8",
    )
    rows: int = Field(6, ge=1, le=64, description="Signature values per band; more of them nominate fewer wrong pairs")
    max_bucket: int = Field(
        200,
        ge=2,
        description="Documents that agree in a band and are all compared with each other. A larger bucket is split by "
        "further signature values until its parts are that small; before, all in it are compared with its four "
        "preferred ones",
    )
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the MinHash permutations")
    against: tuple[str, ...] = Reference(
        (),
        description="Earlier artifacts of this stage, as `dedup/<key>` (`textmill artifacts` names them): what they "
        "keep comes before everything here, so only what is new is kept. Their text is not read, only signatures "
        "and shingles",
    )
    store_shingles: bool = Field(
        True,
        description="Keep the shingle sets, 4 bytes per word (two thirds of the text), so that a later run can compare "
        "with these documents (`against`)",
    )
    memory_megabytes: int = Execution(1024, ge=16, description="Megabytes in which each worker sorts and compares")
    workers: int = Execution(
        0, ge=0, description="Processes that work on shards; 0 = chosen by cores and size of the corpus"
    )

    @classmethod
    def completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return the given values, completed by those of their profile."""
        profile = given.get("profile", "web")
        return {**(PROFILES.get(profile, {}) if isinstance(profile, str) else {}), **given}
