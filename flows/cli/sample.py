"""`textmill sample removed|documents|batches`: texts to read, for judging a filter, a corpus or a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from flows.cli import batches as of_training
from flows.cli.arguments import AsJson, lake
from flows.cli.console import examples, in_sentences, note, output, plain_text, print_json
from tasks.tracking.quantities import metric_text

Count = Annotated[int, typer.Option("-n", "--number", min=1, max=1000, help="how many")]
Seed = Annotated[int, typer.Option(help="another seed shows other texts; the same seed shows the same")]
Stage = Annotated[str | None, typer.Option(help="only of this stage")]
Source = Annotated[str | None, typer.Option(help="only of this host, or file")]
Characters = Annotated[int, typer.Option(min=1, help="characters to show of each text; --json prints all that is kept")]


@in_sentences
def removed(
    reason: Annotated[
        str | None, typer.Option(help="only those removed for this reason, such as gopher_repetition")
    ] = None,
    stage: Stage = None,
    source: Source = None,
    number: Count = 5,
    seed: Seed = 0,
    characters: Characters = 600,
    as_json: AsJson = False,
) -> None:
    """Show removed documents, each with its reason and the value that decided."""
    _show("removed", {"stage": stage, "reason": reason, "source": source}, number, seed, characters, as_json)


@in_sentences
def documents(
    source: Source = None,
    language: Annotated[str | None, typer.Option(help="only in this language, such as en")] = None,
    split: Annotated[str | None, typer.Option(help="only of this split: train, val, or test")] = None,
    number: Count = 5,
    seed: Seed = 0,
    characters: Characters = 600,
    as_json: AsJson = False,
) -> None:
    """Show documents of the corpus, as the last stage wrote them."""
    wanted = {"source": source, "language": language, "split": split}
    _show("documents", wanted, number, seed, characters, as_json)


def _show(view: str, wanted: Mapping[str, str | None], n: int, seed: int, characters: int, as_json: bool) -> None:
    from data_lake.reading.catalog import Catalog
    from data_lake.reading.sample import sample

    with Catalog(lake()) as catalog:
        rows = sample(catalog, view, n, seed, wanted)
    if as_json:
        print_json(rows)
        return
    if not rows:
        note(f"There are no {view} yet; `textmill run demo` makes some.")
    console = output()
    for row in rows:
        console.rule(plain_text(row["url"] or row["source"]), align="left", style="dim")
        console.print(plain_text(_removal(row) if view == "removed" else _about(row)), style="bold")
        console.print(plain_text(row["text"] or "(no text was kept)", characters))
        console.print()


def _removal(row: Mapping[str, Any]) -> str:
    """What removed it, why, and by how much."""
    decided = "" if row["value"] is None else f": {metric_text(row['value'])}"
    decided += "" if row["threshold"] is None else f" (limit {metric_text(row['threshold'])})"
    detail = f", {row['detail']}" if row["detail"] else ""
    return f"{row['reason']}{decided}{detail} · {row['stage']} · {row['n_bytes']:,} bytes"


def _about(row: Mapping[str, Any]) -> str:
    """Title, language, scores and split, as far as they are known."""
    language = row["language"]
    if language and row["language_score"] is not None:
        language += f" ({row['language_score']:.2f})"
    quality = None if row["quality"] is None else f"quality {row['quality']:.2f}"
    known = [row["title"], language, quality, row["date"], row["split"], row["stage"], f"{row['n_bytes']:,} bytes"]
    return " · ".join(part for part in known if part)


def register(app: typer.Typer) -> None:
    """Add the verb of this file, which has two verbs of its own."""
    verbs = typer.Typer(
        no_args_is_help=True, epilog=examples(*(example for part in EXAMPLES.values() for example in part))
    )
    for command in (removed, documents, of_training.batches):
        verbs.command(epilog=examples(*EXAMPLES[command.__name__]))(command)
    about = "Show texts: removed documents and why, documents of the corpus, or what a training step sees."
    app.add_typer(verbs, name="sample", help=about, rich_help_panel="The lake")


EXAMPLES = {
    "removed": (
        "textmill sample removed --reason gopher_repetition -n 3",
        "textmill sample removed --stage dedup --seed 7 --json",
    ),
    "documents": ("textmill sample documents --source example.org", "textmill sample documents --split test -n 20"),
    "batches": of_training.EXAMPLES,
}
