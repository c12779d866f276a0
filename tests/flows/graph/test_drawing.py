"""The picture and the table of a graph: every node, every input with its role, and no line on top of another."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

from flows.graph.drawing import Box, boxes_of, svg, table
from flows.graph.stages import STAGES
from flows.graph.variants import graph_of
from flows.recipe.recipe import Recipe

SVG = "{http://www.w3.org/2000/svg}"
# b and c are read far below, past each other; d is read by nobody
BOXES = [
    Box("a", "Pages"),
    Box("b", "Documents", {"pages": "a"}),
    Box("c", "Corpus", {"pages": "a"}),
    Box("d<", "Model", {"corpus": "c"}),
    Box("e", "Tokens", {"documents": "b", "corpus": "c"}),
]


def texts(picture: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_every_node_and_every_input_is_drawn() -> None:
    picture = svg(BOXES)
    assert sorted(texts(picture)) == sorted(
        [*"abce", "d<", *(box.kind for box in BOXES), *(role for box in BOXES for role in box.inputs)]
    )
    root = ElementTree.fromstring(picture)
    assert len(list(root.iter(f"{SVG}polygon"))) == len(list(root.iter(f"{SVG}circle"))) == 5, "an arrow per input"


def test_two_lines_never_share_a_lane() -> None:
    for boxes in (BOXES, boxes_of(graph_of(Recipe()))):
        down = [(int(x), int(y), float(end)) for y, x, end in re.findall(r"M\d+ ([\d]+)H(\d+)V([\d.]+)", svg(boxes))]
        assert len(down) == len({name for box in boxes for name in box.inputs.values()})
        for (x, top, end), (other, other_top, other_end) in combinations(down, 2):
            assert x != other or end <= other_top or other_end <= top


def test_the_table_has_every_stage_with_its_roles() -> None:
    rows = table().splitlines()[2:]
    assert [row.split("|")[1].strip(" `") for row in rows] == list(STAGES)
    for row, stage in zip(rows, STAGES.values(), strict=True):
        assert all(role in row for role in stage.inputs)
        assert row.endswith(f"`{stage.makes.__name__}` |")
