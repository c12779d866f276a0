"""Stage configs: frozen pydantic models whose fields are either identity or execution."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class StageConfig(BaseModel):
    """Base of every config in a recipe.

    A field is identity (it changes the result, so it is part of the artifact's key) unless it is declared with
    `Execution(...)` (device, workers, log intervals: they change how the result is computed, never what it is).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def Execution(default: Any, *, description: str, **constraints: Any) -> Any:
    """Return a pydantic field that never enters a key: how a stage runs, not what it makes."""
    return Field(default, description=description, json_schema_extra={"execution": True}, **constraints)
