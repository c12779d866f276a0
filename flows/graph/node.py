"""Nodes and the graph that they are added to: a node is a stage, a config and its inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, cast

from data_lake.store.fingerprint import canonical_json
from data_lake.store.lake import Artifact
from flows.recipe.errors import nearest
from tasks.stage import Stage
from tasks.stage.config import StageConfig, identity
from tasks.stage.contract import AnyStage
from tasks.stage.roles import Role

C = TypeVar("C", bound=StageConfig)
P = ParamSpec("P")
K = TypeVar("K", bound=Artifact)


class UnknownNode(Exception):
    """The graph has no node of this name; the message is a full sentence."""


@dataclass(eq=False)
class Node:
    """A step of a run: a stage with its config and, by role, the nodes that it reads.

    `variants` are the labels of all variants of the graph, `users` those that contain this node.
    """

    base_name: str
    stage: AnyStage
    config: StageConfig
    inputs: Mapping[str, Node | Pinned]
    variants: Sequence[str]
    users: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The base name; if not all variants contain this node, followed by the first that does: `pretrain@d6`."""
        return self.base_name if len(self.users) == len(self.variants) else f"{self.base_name}@{self.users[0]}"

    @property
    def kind(self) -> type[Artifact]:
        """The kind of artifact it makes."""
        return self.stage.makes

    def __repr__(self) -> str:
        return f"Node({self.name})"


@dataclass(eq=False)
class Pinned:
    """An artifact that is already in the lake and that a field of the recipe names: an input like any other."""

    name: str
    kind: type[Artifact]
    recipe_field: str
    inputs: Mapping[str, Node | Pinned] = field(default_factory=dict, init=False)

    @property
    def base_name(self) -> str:
        """Its name, which is the same in all variants."""
        return self.name


AnyNode = Node | Pinned


class Graph:
    """All nodes, each after its inputs. Equal nodes are a single node, so variants share what they have in common."""

    def __init__(self, variants: Sequence[str] = ("",)) -> None:
        self.variants = tuple(variants)
        self._variant = self.variants[0]
        self._nodes: dict[Any, AnyNode] = {}

    # -- building ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def variant(self, label: str) -> Iterator[None]:
        """Assign the nodes that are added inside the block to one variant."""
        self._variant = label
        yield

    def add(self, stage: Stage[C, P, K], config: C, /, *args: P.args, **inputs: P.kwargs) -> K:
        """Add a node, and return it typed as the artifact that it will make.

        Swapped inputs, another stage's config and a missing input are therefore type errors; at run time, TypeError.
        """
        given: dict[str, Any] = dict(zip(stage.inputs, args, strict=False)) | dict(inputs)
        bound = dict(_bound(stage, given))
        base = stage.name if stage.per is None else f"{stage.name}-{bound[stage.per].base_name}"
        identity_of = (stage.name, canonical_json(identity(config)), tuple((r, id(n)) for r, n in bound.items()))
        taken = next((n for n in self.nodes if n.base_name == base and self._variant in n.users), None)
        node = self._nodes.setdefault(identity_of, Node(base, stage, config, bound, self.variants))
        assert isinstance(node, Node)
        if taken is not None and taken is not node:
            raise ValueError(f"The graph has two different nodes called {base}.")
        if self._variant not in node.users:
            node.users.append(self._variant)
        return cast(K, node)

    def pinned(self, kind: type[K], name: str, field: str) -> K:
        """Return the artifact `stage/key` of the lake as an input; `field` is where the recipe names it."""
        return cast(K, self._nodes.setdefault(("pinned", name, kind), Pinned(name, kind, field)))

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def all(self) -> list[AnyNode]:
        """Nodes and pinned artifacts, each after what it reads."""
        return list(self._nodes.values())

    @property
    def nodes(self) -> list[Node]:
        """All nodes, each after what it reads."""
        return [node for node in self._nodes.values() if isinstance(node, Node)]

    def select(self, name: str) -> list[Node]:
        """Return the nodes that a name refers to: a node, one of a variant (`pretrain@d12`), or all of a stage.

        Raises UnknownNode.
        """
        base, _, label = name.partition("@")
        found = [node for node in self.nodes if name == node.name]
        found = found or [n for n in self.nodes if base in (n.base_name, n.stage.name) and label and label in n.users]
        found = found or [node for node in self.nodes if name in (node.base_name, node.stage.name)]
        if not found:
            names = [node.name for node in self.nodes]
            known = list(dict.fromkeys([*names, *(node.stage.name for node in self.nodes)]))
            near = nearest(name, known)
            hint = f" Did you mean {near}?" if near else ""
            raise UnknownNode(f"There is no stage {name!r} in this recipe; it has {', '.join(names)}.{hint}")
        return found

    def scope(self, until: Collection[str] = ()) -> list[AnyNode]:
        """Return the nodes of a run, in order: all, or those that `until` names and what they need."""
        if not until:
            return self.all
        needed: set[AnyNode] = set()
        for name in until:
            for node in self.select(name):
                needed |= {node, *ancestors(node)}
        return [node for node in self.all if node in needed]

    def downstream(self, name: str) -> list[Node]:
        """Return the nodes that read what `name` refers to, directly or through others, in order."""
        chosen = set(self.select(name))
        return [node for node in self.nodes if node not in chosen and chosen & set(ancestors(node))]


def maker_of(made: Artifact) -> str:
    """Return the name of the stage that makes what `Graph.add` returned, which is typed as an artifact."""
    node: Any = made
    assert isinstance(node, Node)
    return node.stage.name


def comes_from(made: Artifact, sources: Collection[Artifact]) -> bool:
    """Return whether what `Graph.add` returned is one of the sources, or reads one, directly or through others."""
    node: Any = made
    return any(one in sources for one in (node, *ancestors(node)))


def ancestors(node: AnyNode) -> list[AnyNode]:
    """Return everything that a node reads, directly or through others, nearest first."""
    found: dict[AnyNode, None] = {}
    todo = list(node.inputs.values())
    while todo:
        one = todo.pop(0)
        found.setdefault(one)
        todo += one.inputs.values()
    return list(found)


def targets(nodes: Iterable[AnyNode]) -> set[AnyNode]:
    """Return the nodes whose artifacts are final results: those that no other node of the scope reads."""
    nodes = list(nodes)
    return set(nodes) - {one for node in nodes for one in node.inputs.values()}


def _bound(stage: AnyStage, given: Mapping[str, Any]) -> Iterator[tuple[str, AnyNode]]:
    """Yield the inputs by role; the inputs of a role that takes several are numbered."""
    if unknown := given.keys() - stage.inputs.keys():
        raise TypeError(f"The stage {stage.name} reads {', '.join(stage.inputs)}, but not {', '.join(unknown)}.")
    for name, role in stage.inputs.items():
        value = given.get(name)
        if value is None and not (role.many or role.optional):
            raise TypeError(f"The stage {stage.name} needs its {name}, a {role.kind.__name__}.")
        several = list(value or ()) if role.many else [] if value is None else [value]
        for number, node in enumerate(several):
            _check_kind(stage, name, role, node)
            yield (f"{name}[{number}]" if role.many else name), node


def _check_kind(stage: AnyStage, name: str, role: Role, node: Any) -> None:
    if not (isinstance(node, AnyNode) and issubclass(node.kind, role.kind)):
        made = node.kind.__name__ if isinstance(node, AnyNode) else type(node).__name__
        raise TypeError(f"The stage {stage.name} reads a {role.kind.__name__} as its {name}, but is given a {made}.")
