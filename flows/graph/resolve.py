"""The single decision of what runs: each node's key, status and reasons. Plan, runner and adopt all use it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from data_lake.store.fingerprint import sha256_of
from data_lake.store.lake import Artifact, Lake, Miss
from flows.graph.differences import differences
from flows.graph.node import AnyNode, Graph, Node, Pinned, targets
from tasks.stage import PermanentError
from tasks.stage.preflight import sentence
from tasks.stage.references import referenced_artifact
from tasks.stage.roles import of_kind

Status = Literal["hit", "run", "depends", "unneeded", "fails"]


@dataclass(frozen=True)
class Decision:
    """What a run does with a node.

    hit: the lake has its artifact. run: it will be built. depends: an input will be rebuilt; if the result is the same,
    the node is still a hit. unneeded: the lake no longer has its artifact, but has those of all nodes that would read
    it. fails: its key cannot be computed, or the artifact it names does not exist.

    `content` is the part of it that later keys are computed from; None if it is known only once the node has run.
    """

    node: AnyNode
    status: Status
    reasons: tuple[str, ...] = ()
    key: str | None = None
    content: str | None = None
    artifact: Artifact | None = None
    anew: bool = False
    """Whether the lake's artifact of this key must not be used: the build is forced, or some bytes changed."""
    payload: Mapping[str, Any] | None = None


class Resolver:
    """Decides about every node of a scope; `resolve` may be called again after each build."""

    def __init__(
        self,
        graph: Graph,
        lake: Lake,
        force: Collection[str] = (),
        until: Collection[str] = (),
        made_here: Callable[[Artifact], bool] = lambda _: False,
    ) -> None:
        """`made_here` says whether this run itself made an artifact, so that a forced node is not built twice."""
        self.lake = lake
        self.scope = graph.scope(until)
        self._forced = {node for name in force for node in graph.select(name)}
        self._targets = targets(self.scope)
        self._made_here = made_here
        self._found: dict[tuple[AnyNode, str], Artifact | Miss] = {}
        self._damaged: dict[AnyNode, str] = {}
        self._artifacts: dict[str, list[Artifact]] = {}
        self._payloads: dict[tuple[AnyNode, tuple[tuple[str, str], ...]], dict[str, Any]] = {}
        self._changes: dict[tuple[AnyNode, str], tuple[str, ...]] = {}

    # -- reports from a run --------------------------------------------------------------------------------------------

    def built(self, node: Node, artifact: Artifact) -> None:
        """Record that this run has the node's artifact now."""
        # the code of the stage may have been edited since its key was decided; that key would never be found
        self._payloads = {known: payload for known, payload in self._payloads.items() if known[0] is not node}
        self._found[node, artifact.key] = of_kind(node.stage.makes, artifact)
        self._damaged.pop(node, None)
        self._forced.discard(node)
        self._artifacts.pop(node.stage.name, None)

    def damaged(self, node: AnyNode, reason: str) -> None:
        """Record that the node's artifact turned out to be unreadable."""
        self._damaged[node] = reason

    # -- deciding ------------------------------------------------------------------------------------------------------

    def resolve(self) -> dict[AnyNode, Decision]:
        """Return the decision about each node of the scope, each after those that it reads."""
        decided: dict[AnyNode, Decision] = {}
        for node in self.scope:
            decided[node] = self._pinned(node) if isinstance(node, Pinned) else self._decide(node, decided)
        for node in reversed(self.scope):
            if decided[node].status == "unneeded":
                readers = {decided[reader].status for reader in self.scope if node in reader.inputs.values()}
                status: Status = (
                    "run" if readers & {"run", "fails"} else "depends" if "depends" in readers else "unneeded"
                )
                decided[node] = replace(decided[node], status=status)
        return decided

    def _pinned(self, node: Pinned) -> Decision:
        try:
            found = referenced_artifact(self.lake, node.name, node.kind, node.recipe_field)
        except PermanentError as error:
            return Decision(node, "fails", (str(error),))
        if node in self._damaged:
            return Decision(
                node, "fails", (f"{node.recipe_field} names {node.name}, which is damaged: {self._damaged[node]}.",)
            )
        return Decision(node, "hit", (f"{node.recipe_field} names it",), found.key, found.content, found)

    def _decide(self, node: Node, decided: Mapping[AnyNode, Decision]) -> Decision:
        contents = {role: decided[one].content for role, one in node.inputs.items()}
        unknown = [role for role, content in contents.items() if content is None]
        try:
            payload = self._payload(node, {role: content or "" for role, content in contents.items()})
        except (PermanentError, OSError, ValueError) as error:
            return Decision(node, "fails", (sentence(error),))
        if unknown:
            return self._before_its_inputs(node, payload, unknown, decided)
        key = sha256_of(payload)
        decision = Decision(node, "run", key=key, payload=payload)
        found = self._find(node, key)
        if node in self._damaged:
            return replace(decision, reasons=(self._damaged[node],), anew=True)
        if node in self._forced and not (isinstance(found, Artifact) and self._made_here(found)):
            there = found if isinstance(found, Artifact) else None
            return replace(decision, reasons=("forced",), artifact=there, anew=True)
        if isinstance(found, Artifact):
            if old := node.stage.too_old(node.config, found):
                return replace(decision, reasons=(old,), artifact=found)
            return replace(decision, status="hit", content=found.content, artifact=found)
        if found.kind == "damaged":
            return replace(decision, reasons=(found.reason,))
        if self._may_be_deferred(node) and (content := self.lake.remembered_content(node.stage.name, key)):
            why = "it was built, but is no longer in the lake"
            return replace(decision, status="unneeded", reasons=(why,), content=content)
        return replace(decision, reasons=self._what_changed(node, key, payload))

    def _before_its_inputs(
        self, node: Node, payload: dict[str, Any], unknown: list[str], decided: Mapping[AnyNode, Decision]
    ) -> Decision:
        """The decision while the content of some inputs is unknown: if anything else changed, the node will run."""
        known = self.lake.has_built(node.stage.name)
        changed = differences(payload, self._artifacts_of(node.stage.name), unknown, known=known)
        if node in self._forced:
            changed = ["forced", *changed]
        if changed:
            return Decision(node, "run", tuple(changed))
        names = " and ".join(dict.fromkeys(getattr(node.inputs[role], "name", role) for role in unknown))
        follows = f"{names} will be rebuilt; if the content is the same, this is a hit"
        return Decision(node, "depends", (follows,))

    def _payload(self, node: Node, contents: dict[str, str]) -> dict[str, Any]:
        known = (node, tuple(contents.items()))
        if known not in self._payloads:
            self._payloads[known] = node.stage.payload(node.config, contents)
        return self._payloads[known]

    def _find(self, node: Node, key: str) -> Artifact | Miss:
        """The lake's artifact of a key. A hit is checked once; a miss may since have been built by another run."""
        found = self._found.get((node, key))
        if not isinstance(found, Artifact):
            found = self._found[node, key] = node.stage.find(self.lake, key)
        return found

    def _may_be_deferred(self, node: Node) -> bool:
        """Whether to build a deleted artifact only if a node must read it; not if it is a target or must be fresh."""
        return node not in self._targets and getattr(node.config, "max_age", None) is None

    def _what_changed(self, node: Node, key: str, payload: dict[str, Any]) -> tuple[str, ...]:
        if (node, key) not in self._changes:
            self._changes[node, key] = tuple(differences(payload, self._artifacts_of(node.stage.name)))
        return self._changes[node, key]

    def _artifacts_of(self, stage: str) -> list[Artifact]:
        if stage not in self._artifacts:
            self._artifacts[stage] = self.lake.artifacts(stage)
        return self._artifacts[stage]
