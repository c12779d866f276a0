"""What changed in a node's payload compared with the most similar artifact of its stage, as parts of a sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from data_lake.store.lake import Artifact
from tasks.stage.config import flatten


def differences(
    payload: Mapping[str, Any], artifacts: Iterable[Artifact], unknown: Collection[str] = (), *, known: bool = False
) -> list[str]:
    """Return what changed since the most similar of the stage's artifacts; `unknown` inputs are not compared.

    `known` says that the stage was built before, even if none of its artifacts is in the lake any more.
    """
    candidates = [_compare(artifact.manifest.payload, payload, unknown) for artifact in artifacts]
    if not candidates:
        return [] if unknown and known else ["never built"]
    return min(candidates, key=len) or ([] if unknown else ["its artifact is not in the lake any more"])


def library_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed in the versions of the libraries that affect the result."""
    before, after = old.get("libraries"), new.get("libraries") or {}
    if before is None:
        names = ", ".join(after)
        return [f"built with unknown versions of {names}: it is older than their place in the key"] if after else []
    return [
        f"{name} {before.get(name, _ABSENT)} → {after.get(name, _ABSENT)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], unknown: Collection[str]) -> list[str]:
    found = []
    if old["version"] != new["version"]:
        found.append(f"version {old['version']} → {new['version']}")
    before, after = flatten(old["config"]), flatten(new["config"])
    for name in sorted(before.keys() | after.keys()):
        if before.get(name, _ABSENT) != after.get(name, _ABSENT):
            found.append(f"{name}: {_show(before.get(name, _ABSENT))} → {_show(after.get(name, _ABSENT))}")
    for module in sorted(old["code"].keys() | new["code"].keys()):
        if old["code"].get(module) != new["code"].get(module):
            verb = "changed" if module in old["code"] and module in new["code"] else "added or removed"
            found.append(f"code {module.replace('.', '/')}.py {verb}")
    found += library_changes(old, new)
    if old.get("sources") != new.get("sources"):
        found.append("its source files changed")
    return found + _input_changes(old, new, unknown)


def _input_changes(old: Mapping[str, Any], new: Mapping[str, Any], unknown: Collection[str]) -> list[str]:
    """Manifests of format 1 name inputs by stage instead of role, so only the contents can be compared."""
    inputs = new["inputs"]
    if "inputs" not in old:
        contents = set(old.get("upstream", {}).values())
        return [
            f"{role} has new content" for role, one in inputs.items() if role not in unknown and one not in contents
        ]
    before = old["inputs"]
    changed = [
        f"{role} has new content" if role in before else f"{role} is new"
        for role, content in inputs.items()
        if role not in unknown and before.get(role) != content
    ]
    return changed + [f"{role} is gone" for role in before if role not in inputs]


class _Absent:
    def __repr__(self) -> str:
        return "(none)"


_ABSENT = _Absent()


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
