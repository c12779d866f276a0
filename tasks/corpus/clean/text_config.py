"""The config of text processing in clean: a switch for each normalisation, and which personal data is redacted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tasks.stage.config import StageConfig

PiiType = Literal["email", "phone", "ip", "credit_card", "iban", "national_id"]


class NormalizeConfig(StageConfig):
    """Text repair and normalisation; each step has a separate switch."""

    repair: bool = Field(True, description="undo mojibake with ftfy (Speer 2019)")
    compose: bool = Field(True, description="compose characters (Unicode NFC)")
    whitespace: bool = Field(
        True,
        description="unify newlines and spaces; remove trailing spaces, repeated blank lines and control characters",
    )
    emoji: Literal["keep", "text", "remove"] = Field(
        "keep", description="keep emoji, write their names (🙂 as :slightly_smiling_face:), or remove them"
    )
    spelling: str = Field(
        "",
        pattern=r"^([a-z]{2})?$",
        description="correct the spelling of documents in this language (en, de, …); needs textmill[spelling]",
    )
    lowercase: bool = Field(False, description="convert the text to lower case")
    sensitive_words: tuple[str, ...] = Field(
        (), description="words or phrases to replace: whole words only, in any script and any case"
    )
    sensitive_files: tuple[str, ...] = Field((), description="files with more such words, one per line (globs)")
    sensitive_replacement: str = Field("<REDACTED>", description="replacement for a sensitive word")


class PiiConfig(StageConfig):
    """Personal data: what is found is replaced by a typed placeholder such as <EMAIL>."""

    types: tuple[PiiType, ...] = Field(
        ("email", "phone", "ip", "credit_card", "iban"), description="kinds that are redacted; empty = none"
    )
    public_ips_only: bool = Field(True, description="leave private, loopback and documentation addresses as they are")
    phone_regions: tuple[str, ...] = Field(
        ("US",),
        description="countries (ISO 3166) whose national phone numbers are recognised; international ones always are",
    )
    national_ids: tuple[str, ...] = Field(
        ("us.ssn",),
        description="kinds of national_id, by country and name as tasks.corpus.clean.national_ids lists them",
    )

    @field_validator("phone_regions")
    @classmethod
    def _regions(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        for region in regions:
            if not (len(region) == 2 and region.isascii() and region.isupper()):
                raise ValueError(f"{region!r} is not a country; write two capital letters (ISO 3166), as in DE.")
        return regions

    @field_validator("national_ids")
    @classmethod
    def _national_ids(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from tasks.corpus.clean.national_ids import FORMATS

        for name in names:
            if name not in FORMATS:
                raise ValueError(f"{name!r} is not a national id that textmill knows; it knows {', '.join(FORMATS)}.")
        return names
