"""Roles: what an input means to the stage that reads it, taken from the parameters of the stage's function."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from data_lake.store.lake import Artifact

K = TypeVar("K", bound=Artifact)


@dataclass(frozen=True)
class Role:
    """What an input means to the stage that reads it: its kind, and whether there may be several or none.

    The inputs of a role that takes several are called `role[0]`, `role[1]`, …
    """

    kind: type[Artifact]
    many: bool = False
    optional: bool = False


def role_of(annotation: Any) -> Role:
    """Derive a role from the annotation of its parameter. Raises TypeError if it is not one."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Sequence:
        return Role(arguments[0], many=True)
    if origin in (typing.Union, types.UnionType) and type(None) in arguments and len(arguments) == 2:
        return Role(next(kind for kind in arguments if kind is not type(None)), optional=True)
    if isinstance(annotation, type) and issubclass(annotation, Artifact):
        return Role(annotation)
    raise TypeError(f"{annotation} is not an input: use a kind, `Kind | None` or `Sequence[Kind]`.")


def of_kind(kind: type[K], artifact: Artifact) -> K:
    """Return an artifact as one of this kind."""
    return kind(artifact.stage, artifact.key, artifact.path, artifact.manifest)


def inputs_of(role: str, inputs: Collection[str]) -> list[str]:
    """Return the inputs that fill a role: itself, or `role[0]`, `role[1]`, … in this order."""
    numbered = [name for name in inputs if re.fullmatch(rf"{re.escape(role)}\[\d+\]", name)]
    return [role] if role in inputs else sorted(numbered, key=lambda name: int(name[len(role) + 1 : -1]))
