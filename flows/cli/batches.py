"""`textmill sample batches`: the texts that one step of a training sees, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.arguments import AsJson, Overrides, RecipeName, in_graph, lake, load
from flows.cli.console import UserError, in_sentences, note, output, plain_text, print_json, styled, table

if TYPE_CHECKING:
    from rich.text import Text

    from flows.graph.node import Graph, Node
    from tasks.training.shown import Piece

STYLES = {"text": "", "special": "cyan", "unlearned": "dim"}
SIDES = ("source", "input", "target")
EXAMPLES = (
    "textmill sample batches demo --step 0 -n 2",
    "textmill sample batches demo --set pretrain.documents=separate",
    "textmill sample batches demo --node sft --step 12 --json",
)


@in_sentences
def batches(
    recipe: RecipeName = "demo",
    node: Annotated[str, typer.Option(metavar="NODE", help="a training: pretrain, sft, pretrain@d6")] = "pretrain",
    step: Annotated[int, typer.Option(min=0, help="which step, counted from 0")] = 0,
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=1000, help="how many rows of the batch")] = 4,
    overrides: Overrides = None,
    characters: Annotated[
        int, typer.Option(min=1, help="characters to show of each text; --json prints everything")
    ] = 500,
    as_json: AsJson = False,
) -> None:
    """Show what a step of a training sees: inputs and targets side by side, document by document.

    What the lake has of the training's inputs is read; nothing is trained. A target is what the model has to name at
    that position; where none is learned, such as in a question, it says for how many tokens.
    """
    from tasks.training.shown import shown_rows

    graph = in_graph(load(recipe, overrides), node)
    found = _training(graph, node)
    batch_of, tokenizer = _reader(graph, found, recipe)
    steps = found.config.training.steps  # type: ignore[attr-defined]
    if step >= steps:
        raise UserError(f"{found.name} has {steps:,} steps, so its last one is step {steps - 1}, not {step}.")
    batch = batch_of(step)
    rows = shown_rows(batch, tokenizer)
    if as_json:
        print_json({"node": found.name, "step": step, "rows": [_plain(row) for row in rows[:number]]})
        return
    note(
        f"step {step} of {found.name}: {len(rows):,} rows, {batch.n_tokens:,} tokens, {batch.n_valid:,} of them with a "
        f"target; {min(number, len(rows))} rows are shown."
    )
    console = output()
    for row in rows[:number]:
        padding = f" · {row['padding']:,} padding" if row["padding"] else ""
        columns = [side for side in SIDES if side in row["documents"][0]]
        lines = table(f"row {row['row']}: {row['tokens']:,} tokens{padding}", ("position", *columns), ("position",))
        lines.show_lines = True
        for document in row["documents"]:
            sides = (_text(document[side], characters) for side in columns)
            lines.add_row(f"{document['start']:,}", *sides)
        console.print(lines)


def _training(graph: Graph, name: str) -> Node:
    """Return the training that `name` refers to; raises UserError if it is none, or several."""
    nodes = graph.select(name)
    if len(nodes) > 1:
        raise UserError(f"{name} could be {' or '.join(node.name for node in nodes)}: give one of them with --node.")
    if nodes[0].stage.batches is None:
        able = [node.name for node in graph.nodes if node.stage.batches is not None]
        raise UserError(f"{nodes[0].name} has no batches to show; these have: {', '.join(able) or 'none here'}.")
    return nodes[0]


def _reader(graph: Graph, node: Node, recipe: str) -> tuple[Any, Any]:
    """Return what makes the batches of a training; raises UserError if the lake lacks what they are made from."""
    from flows.graph.resolve import Resolver

    decided = Resolver(graph, lake(), until=[node.name]).resolve()
    inputs = {}
    for role, read in node.inputs.items():
        decision = decided[read]
        if decision.status != "hit" or decision.artifact is None:
            raise UserError(
                f"The batches of {node.name} are made from {read.name}, which the lake does not have as this recipe "
                f"wants it; `textmill run {recipe} --until {read.name}`, with the same --set options, makes it."
            )
        inputs[role] = decision.artifact
    assert node.stage.batches is not None
    made: tuple[Any, Any] = node.stage.batches(node.config, inputs)
    return made


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row for programs: pieces of text become one text."""
    documents = [
        document | {side: "".join(piece.text for piece in document[side]) for side in SIDES if side in document}
        for document in row["documents"]
    ]
    return {**row, "documents": documents}


def _text(pieces: Sequence[Piece], limit: int) -> Text:
    """Pieces as one text, of which at most `limit` characters are shown."""
    shown = styled("", "")
    for piece in pieces:
        part = plain_text(piece.text, max(limit - len(shown), 0))
        part.stylize(STYLES[piece.kind])
        shown.append_text(part)
        if len(shown) > limit:
            break
    return shown
