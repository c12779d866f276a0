"""The plan: for each stage whether it is a hit, will run, or depends, and why; without running anything."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from data_lake.fingerprint import sha256_of
from data_lake.store import Artifact, Lake, Miss
from flows.graph import STAGES, scope, targets
from flows.recipe import Recipe
from flows.recipe_errors import Problem, RecipeError, show_value
from tasks.config import StageConfig, flatten
from tasks.preflight import Facts, Fault, sentence
from tasks.stage import PermanentError, Stage

Status = Literal["hit", "run", "depends", "unneeded", "fails"]


@dataclass(frozen=True)
class Row:
    """What a run would do with one stage.

    hit: the lake has it. run: it will be built. depends: an upstream will be rebuilt; if its content comes out the
    same, this stage is still a hit. unneeded: the lake lost it, but has everything that would read it. fails: it would
    fail, so no run begins.
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
    problems: tuple[Problem, ...] = ()
    """Why stages would fail, as far as it can be known before the first one runs."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `textmill plan --json`."""
        return {
            "recipe": self.recipe,
            "stages": [asdict(row) for row in self.rows],
            "previews": dict(self.previews),
            "problems": [asdict(problem) for problem in self.problems],
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
    faults: dict[str, list[Fault]] = {stage.name: [] for stage in stages}
    for stage in stages:
        try:
            rows[stage.name], contents[stage.name] = _row(stage, recipe, lake, contents, force, stage.name in wanted)
        except _NoPayload as error:
            rows[stage.name], contents[stage.name] = Row(stage.name, "fails", (), None, None), None
            faults[stage.name].append(Fault(stage.name, str(error)))
    for stage in reversed(stages):
        if rows[stage.name].status == "unneeded":
            readers = [rows[reader.name].status for reader in stages if stage.name in reader.upstream]
            builds = "run" in readers or "fails" in readers
            status: Status = "run" if builds else "depends" if "depends" in readers else "unneeded"
            rows[stage.name] = replace(rows[stage.name], status=status)
    previews: dict[str, list[dict[str, Any]]] = {}
    for stage in stages:
        try:
            if shown := _preview(stage, recipe, lake, rows):
                previews[stage.name] = shown
        except PermanentError as error:
            faults[stage.name].append(Fault(stage.name, sentence(error)))
    facts = Facts(recipe.configs(), lake)
    for stage in stages:
        row, found = rows[stage.name], faults[stage.name]
        if row.status in ("hit", "unneeded"):
            found = []
        elif own := stage.faults(recipe.config(stage.name), facts):
            found = own  # what the check says of a file is what its fingerprint stumbled over
        faults[stage.name] = [fault for fault in found if fault.stops]
        if found:
            said = tuple(f"it would fail: {_named(fault)}" if fault.stops else fault.reason for fault in found)
            status = "fails" if faults[stage.name] else row.status
            rows[stage.name] = replace(row, status=status, reasons=(*said, *row.reasons))
    problems = tuple(_problem(recipe, fault) for fault in itertools.chain(*faults.values()))
    return Plan(recipe.name, tuple(rows.values()), previews, problems)


def require_sound(
    recipe: Recipe,
    lake: Lake,
    force: Collection[str] = (),
    until: str | None = None,
    graph: Mapping[str, Stage] = STAGES,
) -> None:
    """Raise RecipeError with everything for which a run with the same arguments would fail, before it begins."""
    if problems := make_plan(recipe, lake, force, until, graph).problems:
        raise RecipeError(recipe.name, problems)


def _named(fault: Fault) -> str:
    """The reason with the field that has to change, where it does not name that itself."""
    has_name = "." not in fault.field or fault.field in fault.reason
    return fault.reason if has_name else f"{fault.field}: {fault.reason}"


def _problem(recipe: Recipe, fault: Fault) -> Problem:
    """The fault as a mistake of the recipe, with the value of the field that has to change."""
    value: Any = recipe
    for part in fault.field.split("."):
        value = getattr(value, part, None)
    shown = None if value is None or isinstance(value, StageConfig) else show_value(value)
    return Problem(f"recipe {recipe.name}", fault.field, fault.reason, shown)


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
        payload = _payload(stage, config, contents)
        changed = differences(stage, payload, lake, ignore_upstream=unknown)
        if stage.name in force:
            changed = ["forced", *changed]
        if changed:
            return Row(stage.name, "run", tuple(changed), None, None), None
        follows = f"{' and '.join(unknown)} will be rebuilt; if the content comes out the same, this is a hit"
        return Row(stage.name, "depends", (follows,), None, None), None
    payload = _payload(stage, config, contents)
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


class _NoPayload(Exception):
    """A file that is part of a stage's key cannot be read; the message is a sentence."""


def _payload(stage: Stage, config: Any, contents: Mapping[str, str | None]) -> dict[str, Any]:
    try:
        return stage.payload(config, {name: contents[name] or "" for name in stage.upstream})
    except (PermanentError, OSError, ValueError) as error:
        raise _NoPayload(sentence(error)) from error


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
    found += library_changes(old, new)
    if old.get("sources") != new.get("sources"):
        found.append("its source files changed")
    for name, content in new["inputs"].items():
        if name not in ignore_upstream and old_inputs(old).get(name) != content:
            found.append(f"upstream {name} has new content")
    return found


def old_inputs(payload: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the contents by role; of a payload of manifest format 1 by stage."""
    return payload.get("inputs", payload.get("upstream", {}))


def library_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What is new in the versions of the libraries that shape the result."""
    before, after = old.get("libraries"), new.get("libraries") or {}
    if before is None:
        names = ", ".join(after)
        return [f"built with unknown versions of {names}: it is older than their place in the key"] if after else []
    return [
        f"{name} {before.get(name, _ABSENT)} → {after.get(name, _ABSENT)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


class _Absent:
    def __repr__(self) -> str:
        return "(none)"


_ABSENT = _Absent()


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _name(found: Artifact | Miss) -> str | None:
    return found.name if isinstance(found, Artifact) else None
