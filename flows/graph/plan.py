"""The plan: rows with the decision about every node, the stages' previews, and reasons why stages would fail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from data_lake.store.lake import Artifact, Lake
from flows.graph.node import AnyNode, Graph, Node, ancestors
from flows.graph.price import UNKNOWN, Price, prices, total
from flows.graph.resolve import Decision, Resolver, Status
from flows.recipe.errors import Problem, RecipeError, show_value
from tasks.stage import PermanentError
from tasks.stage.config import StageConfig
from tasks.stage.preflight import Facts, Fault, sentence


@dataclass(frozen=True)
class Row:
    """What a run would do with one node; the statuses are those of `flows.graph.resolve.Decision`."""

    node: str
    stage: str
    status: Status
    reasons: tuple[str, ...]
    key: str | None
    artifact: str | None
    seconds: float | None = None
    """What the build is likely to take (`flows.graph.price`); None if it is not known, or nothing is built."""
    bytes: int | None = None


@dataclass(frozen=True)
class Plan:
    """The rows of a plan, in the order in which nodes run."""

    recipe: str
    rows: tuple[Row, ...]
    previews: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Tables by node, for nodes with a preview: what pretrain will read of each source, once the tokens exist."""
    problems: tuple[Problem, ...] = ()
    """Reasons why nodes would fail that are known before the first one runs."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `textmill plan --json`."""
        return {
            "recipe": self.recipe,
            "nodes": [asdict(row) for row in self.rows],
            "expected": {**asdict(self.expected), "unknown": self.unpriced},
            "previews": dict(self.previews),
            "problems": [asdict(problem) for problem in self.problems],
        }

    @property
    def expected(self) -> Price:
        """The expected total of all builds, as far as it is known."""
        return total(Price(row.seconds, row.bytes) for row in self.rows if row.status in ("run", "depends"))

    @property
    def unpriced(self) -> list[str]:
        """The nodes without an expected price, because the lake has no comparable builds."""
        return [row.node for row in self.rows if row.status in ("run", "depends") and row.seconds is None]


def make_plan(
    graph: Graph, lake: Lake, force: Collection[str] = (), until: Collection[str] = (), name: str = ""
) -> Plan:
    """Return what a run with the same arguments would do. Reads the lake; needs no server. Raises UnknownNode."""
    return plan_of(Resolver(graph, lake, force, until).resolve(), lake, name)


def plan_of(decided: Mapping[AnyNode, Decision], lake: Lake, name: str = "") -> Plan:
    """Return the plan for these decisions, with the stages' previews and why stages would fail."""
    rows: dict[AnyNode, Row] = {}
    previews: dict[str, list[dict[str, Any]]] = {}
    problems: list[Problem] = []
    cost = prices(decided, lake)
    for node, decision in decided.items():
        if not isinstance(node, Node):
            rows[node] = _row(decision)
            problems += [
                Problem(f"recipe {name}", node.recipe_field, why, repr(node.name))
                for why in decision.reasons
                if decision.status == "fails"
            ]
            continue
        facts = _facts(node, decided, lake)
        faults = [Fault(node.stage.name, why) for why in decision.reasons] if decision.status == "fails" else []
        try:
            if shown := _preview(node, decision, facts):
                previews[node.name] = shown
        except PermanentError as error:
            faults.append(Fault(node.stage.name, sentence(error)))
        if decision.status in ("hit", "unneeded"):
            faults = []
        elif own := node.stage.faults(node.config, facts):
            # a stage's check and the fingerprint of its files fail for the same reason, so one of them is enough
            faults = own if any(fault.stops for fault in own) else [*faults, *own]
        row = _row(decision, faults, cost.get(node, UNKNOWN))
        failing = [one.name for one in ancestors(node) if rows[one].status == "fails"]
        if failing and row.status == "depends":
            row = replace(row, reasons=(f"it needs {' and '.join(failing)}, which would fail",))
        rows[node] = row
        problems += [_problem(name, node, fault, facts) for fault in faults if fault.stops]
    return Plan(name, tuple(rows.values()), previews, tuple(dict.fromkeys(problems)))


def require_sound(
    graph: Graph, lake: Lake, force: Collection[str] = (), until: Collection[str] = (), name: str = ""
) -> None:
    """Raise RecipeError with every reason why a run with the same arguments would fail, before it starts."""
    if problems := make_plan(graph, lake, force, until, name).problems:
        raise RecipeError(name, problems)


def _row(decision: Decision, faults: Collection[Fault] = (), price: Price = UNKNOWN) -> Row:
    node, artifact = decision.node, decision.artifact
    stage = node.stage.name if isinstance(node, Node) else node.name.partition("/")[0]
    row = Row(
        node.name,
        stage,
        decision.status,
        decision.reasons,
        decision.key,
        None if artifact is None else artifact.name,
        price.seconds,
        price.bytes,
    )
    if not faults:
        return row
    said = [f"it would fail: {_named(fault)}" if fault.stops else fault.reason for fault in faults]
    fails = any(fault.stops for fault in faults)
    reasons = (*said, *(decision.reasons if decision.status != "fails" else ()))
    if fails:
        return replace(row, status="fails", reasons=reasons, seconds=None, bytes=None)
    return replace(row, reasons=reasons)


def _facts(node: Node, decided: Mapping[AnyNode, Decision], lake: Lake) -> Facts:
    """What the node's check can see; if a stage occurs more than once, the config of the nearest node is used."""
    before = [one for one in ancestors(node) if isinstance(one, Node)]
    configs = {one.stage.name: one.config for one in reversed([node, *before])}
    known = {role: decided[one].artifact for role, one in node.inputs.items() if decided[one].status == "hit"}
    return Facts(configs, lake, {role: found for role, found in known.items() if isinstance(found, Artifact)})


def _preview(node: Node, decision: Decision, facts: Facts) -> list[dict[str, Any]]:
    """The stage's preview, if the lake has everything that it would read."""
    if node.stage.preview is None or decision.status == "unneeded" or facts.inputs.keys() != node.inputs.keys():
        return []
    return node.stage.preview(node.config, facts.inputs)


def _named(fault: Fault) -> str:
    """The reason, with the field that has to change unless the reason already names it."""
    has_name = "." not in fault.field or fault.field in fault.reason
    return fault.reason if has_name else f"{fault.field}: {fault.reason}"


def _problem(name: str, node: Node, fault: Fault, facts: Facts) -> Problem:
    """The fault as a mistake of the recipe, with the value of the field that has to change."""
    try:
        value = facts.value(fault.field)
    except AttributeError:
        value = None
    shown = None if value is None or isinstance(value, StageConfig) else show_value(value)
    variant = f", variant {node.name.partition('@')[2]}" if "@" in node.name else ""
    return Problem(f"recipe {name}{variant}", fault.field, fault.reason, shown)
