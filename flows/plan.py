"""The plan: for each stage whether it is a hit, will run, or depends, and why; without running anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from data_lake.fingerprint import sha256_of
from data_lake.store import Artifact, Lake, Miss
from flows.graph import STAGES, scope, targets
from flows.recipe import Recipe
from tasks.config import flatten
from tasks.stage import PermanentError, Stage

Status = Literal["hit", "run", "depends", "unneeded"]


@dataclass(frozen=True)
class Row:
    """What a run would do with one stage.

    hit: the lake has it. run: it will be built. depends: an upstream will be rebuilt; if its content comes out the
    same, this stage is still a hit. unneeded: the lake lost it, but has everything that would read it.
    """

    stage: str
    status: Status
    reasons: tuple[str, ...]
    key: str | None
    artifact: str | None


@dataclass(frozen=True)
class Plan:
    """The rows of a plan, in the order in which stages run."""

    recipe: str
    rows: tuple[Row, ...]
    previews: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Tables of stages that can say more: what pretrain will read of each source, once the tokens are there."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `textmill plan --json`."""
        return {
            "recipe": self.recipe,
            "stages": [asdict(row) for row in self.rows],
            "previews": dict(self.previews),
        }


def make_plan(
    recipe: Recipe,
    lake: Lake,
    force: Collection[str] = (),
    until: str | None = None,
    graph: Mapping[str, Stage] = STAGES,
) -> Plan:
    """Return what `textmill run` with the same arguments would do. Reads the lake; needs no server."""
    stages = scope(until, graph)
    wanted = targets(stages)
    rows: dict[str, Row] = {}
    contents: dict[str, str | None] = {}
    for stage in stages:
        rows[stage.name], contents[stage.name] = _row(stage, recipe, lake, contents, force, stage.name in wanted)
    for stage in reversed(stages):
        if rows[stage.name].status == "unneeded":
            readers = [rows[reader.name].status for reader in stages if stage.name in reader.upstream]
            status: Status = "run" if "run" in readers else "depends" if "depends" in readers else "unneeded"
            rows[stage.name] = replace(rows[stage.name], status=status)
    previews: dict[str, list[dict[str, Any]]] = {}
    for stage in stages:
        try:
            if shown := _preview(stage, recipe, lake, rows):
                previews[stage.name] = shown
        except PermanentError as error:
            reasons = (*rows[stage.name].reasons, f"it would fail: {error}")
            rows[stage.name] = replace(rows[stage.name], reasons=reasons)
    return Plan(recipe.name, tuple(rows.values()), previews)


def _preview(stage: Stage, recipe: Recipe, lake: Lake, rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """What the stage says of itself, if the lake has all that it would read."""
    if stage.preview is None or rows[stage.name].status == "unneeded":
        return []
    upstream: dict[str, Artifact] = {}
    for name in stage.upstream:
        key = rows[name].key
        found = lake.lookup(name, key) if rows[name].status == "hit" and key else None
        if not isinstance(found, Artifact):
            return []
        upstream[name] = found
    return stage.preview(getattr(recipe, stage.name), upstream)


def _row(
    stage: Stage,
    recipe: Recipe,
    lake: Lake,
    contents: Mapping[str, str | None],
    force: Collection[str],
    is_target: bool,
) -> tuple[Row, str | None]:
    """The row of one stage, and the content that it has or had (None: only known after it ran)."""
    config = getattr(recipe, stage.name)
    unknown = [name for name in stage.upstream if contents[name] is None]
    if unknown:
        payload = stage.payload(config, {name: contents[name] or "" for name in stage.upstream})
        changed = differences(stage, payload, lake, ignore_upstream=unknown)
        if stage.name in force:
            changed = ["forced", *changed]
        if changed:
            return Row(stage.name, "run", tuple(changed), None, None), None
        follows = f"{' and '.join(unknown)} will be rebuilt; if the content comes out the same, this is a hit"
        return Row(stage.name, "depends", (follows,), None, None), None
    payload = stage.payload(config, {name: contents[name] or "" for name in stage.upstream})
    key = sha256_of(payload)
    found = stage.find(lake, key)
    if stage.name in force:
        return Row(stage.name, "run", ("forced",), key, _name(found)), None
    if isinstance(found, Artifact):
        if old := stage.too_old(config, found):
            return Row(stage.name, "run", (old,), key, found.name), None
        return Row(stage.name, "hit", (), key, found.name), found.content
    if found.kind == "damaged":
        return Row(stage.name, "run", (found.reason,), key, None), None
    if may_be_deferred(stage, config, is_target) and (content := lake.remembered_content(stage.name, key)):
        return Row(stage.name, "unneeded", ("it was built, but is not in the lake any more",), key, None), content
    return Row(stage.name, "run", tuple(differences(stage, payload, lake)), key, None), None


def may_be_deferred(stage: Stage, config: Any, is_target: bool) -> bool:
    """Whether a lost artifact is built only if something must read it: not if it is wanted itself, or for freshness."""
    return not is_target and getattr(config, "max_age", None) is None


def differences(stage: Stage, payload: dict[str, Any], lake: Lake, ignore_upstream: Collection[str] = ()) -> list[str]:
    """What is new in `payload` against the most similar artifact of the stage, one sentence part for each."""
    candidates = [_compare(a.manifest.payload, payload, ignore_upstream) for a in lake.artifacts(stage.name)]
    if not candidates:
        return [] if ignore_upstream and _remembered(lake, stage) else ["never built"]
    return min(candidates, key=len) or ([] if ignore_upstream else ["its artifact is not in the lake any more"])


def _remembered(lake: Lake, stage: Stage) -> bool:
    return any((lake.root / ".contents").glob(f"{stage.name}-*.json"))


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], ignore_upstream: Collection[str]) -> list[str]:
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
    if old.get("sources") != new.get("sources"):
        found.append("its source files changed")
    for name, content in new["upstream"].items():
        if name not in ignore_upstream and old["upstream"].get(name) != content:
            found.append(f"upstream {name} has new content")
    return found


class _Absent:
    def __repr__(self) -> str:
        return "(none)"


_ABSENT = _Absent()


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _name(found: Artifact | Miss) -> str | None:
    return found.name if isinstance(found, Artifact) else None
