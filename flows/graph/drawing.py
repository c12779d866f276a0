"""Drawings for docs/architecture.md: a picture of a recipe's graph, and a table of all stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape

from flows.graph.node import Graph
from flows.graph.stages import STAGES
from tasks.stage.roles import Role

BOX, LINE, LANE, MARGIN = 170, 20, 26, 16  # pixels: box width, line height, distance between lanes
LABELS = 96  # room for the names of roles and kinds
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1b1f24}"
    ".role{font-size:11px;fill:#57606a}.kind{font-size:11px;fill:#0550ae}"
    "rect.box{fill:#f6f8fa;stroke:#57606a}path{fill:none;stroke:#57606a}circle,polygon{fill:#57606a}"
)


@dataclass(frozen=True)
class Box:
    """A node to draw: its name, what it makes, and what it reads, as role -> name of a node."""

    name: str
    kind: str
    inputs: Mapping[str, str] = field(default_factory=dict)


def boxes_of(graph: Graph) -> list[Box]:
    """Return the nodes of a graph in their order, including pinned artifacts."""
    return [
        Box(node.base_name, node.kind.__name__, {role: one.base_name for role, one in node.inputs.items()})
        for node in graph.all
    ]


def svg(boxes: Iterable[Box]) -> str:
    """Draw nodes from top to bottom. A node's artifact is a line down its lane; a dot marks each node that reads it."""
    boxes = list(boxes)
    tops, lanes = _tops(boxes), _lanes(boxes)
    last_read = {name: row for row, box in enumerate(boxes) for name in box.inputs.values()}
    number = {box.name: row for row, box in enumerate(boxes)}
    reach = MARGIN + BOX + LABELS
    parts: list[str] = []
    for row, box in enumerate(boxes):
        top, lines = tops[row], len(box.inputs) + 1
        parts.append(f'<rect class="box" x="{MARGIN}" y="{top}" width="{BOX}" height="{lines * LINE}" rx="6"/>')
        parts.append(f'<text x="{MARGIN + 12}" y="{top + lines * LINE / 2 + 4.5:g}">{escape(box.name)}</text>')
        for line, (role, name) in enumerate(box.inputs.items()):
            y, x = top + line * LINE + LINE / 2, reach + lanes[name] * LANE
            parts.append(f'<path d="M{x} {y:g}H{MARGIN + BOX + 8}"/><circle cx="{x}" cy="{y:g}" r="3"/>')
            parts.append(f'<polygon points="{_arrow(MARGIN + BOX, y)}"/>{_label("role", role, y)}')
        y = top + (lines - 1) * LINE + LINE / 2
        parts.append(_label("kind", box.kind, y))
        if box.name in last_read:
            reader = boxes[last_read[box.name]]
            end = tops[number[reader.name]] + list(reader.inputs.values()).index(box.name) * LINE + LINE / 2
            parts.append(f'<path d="M{MARGIN + BOX} {y:g}H{reach + lanes[box.name] * LANE}V{end:g}"/>')
    width = reach + max(lanes.values(), default=0) * LANE + MARGIN
    height = tops[-1] + (len(boxes[-1].inputs) + 1) * LINE + MARGIN
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    paper = f'<style>{STYLE}</style>\n<rect width="100%" height="100%" rx="8" fill="#fff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', paper, *parts, "</svg>\n"])


def table() -> str:
    """Return all stages with their roles, the roles' kinds and the kind they make, as a Markdown table."""
    rows = [
        f"| `{name}` | {', '.join(_reads(role, stage.inputs[role]) for role in stage.inputs)} | "
        f"`{stage.makes.__name__}` |"
        for name, stage in STAGES.items()
    ]
    return "\n".join(["| stage | reads: role (kind) | makes |", "|---|---|---|", *rows])


def _reads(name: str, role: Role) -> str:
    """The text of a role in a table cell, including whether it may be empty or take several inputs."""
    kind = f"`{role.kind.__name__}`"
    return f"{name} ({'several ' if role.many else ''}{kind}{', optional' if role.optional else ''})"


def _tops(boxes: list[Box]) -> list[int]:
    """Return the top of each box."""
    tops, y = [], MARGIN
    for box in boxes:
        tops.append(y)
        y += (len(box.inputs) + 1) * LINE + LINE // 2
    return tops


def _lanes(boxes: list[Box]) -> dict[str, int]:
    """Return the lane of each node's artifact: the first one that is free from the node to its last reader."""
    last_read = {name: row for row, box in enumerate(boxes) for name in box.inputs.values()}
    free_from: list[int] = []
    lanes: dict[str, int] = {}
    for row, box in enumerate(boxes):
        end = last_read.get(box.name, row)
        lane = next((n for n, row_free in enumerate(free_from) if row_free <= row), len(free_from))
        free_from[lane : lane + 1] = [end]
        lanes[box.name] = lane
    return lanes


def _arrow(x: float, y: float) -> str:
    return f"{x:g},{y:g} {x + 9:g},{y - 4:g} {x + 9:g},{y + 4:g}"


def _label(style: str, text: str, y: float) -> str:
    return f'<text class="{style}" x="{MARGIN + BOX + 14}" y="{y - 4:g}">{escape(text)}</text>'
