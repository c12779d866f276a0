"""`textmill ledger`: the audit of a corpus, from what the crawl met to the last token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.cli.arguments import AsJson, find_artifact, lake
from flows.cli.console import FAILED, UserError, examples, in_sentences, note, output, print_json, table

if TYPE_CHECKING:
    from data_lake.reading.audit import Audit, Row, StageAudit


@in_sentences
def ledger(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="last, last~1, a run's name or id; or an artifact: stage, stage/key. Default: the newest",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Account for every document, byte and token of a run: in = kept + removed by reason, stage by stage.

    The exit code is 1 if something does not add up.
    """
    from data_lake.reading.audit import audit_of

    name, artifacts, gone = _subject(run)
    audit = audit_of(artifacts)
    if not audit.stages:
        raise UserError(f"No stage of {name} keeps a ledger; ask for the one of dedup or tokenize.")
    if as_json:
        print_json({"of": name, "not_in_the_lake": gone, **audit.to_json()})
    else:
        _print_audit(name, audit, gone)
    if audit.problems:
        raise typer.Exit(FAILED)


def _subject(wanted: str | None) -> tuple[str, list[Artifact], list[str]]:
    """Return the subject of the audit, its artifacts in the order of the pipeline, and those that were deleted."""
    from data_lake.reading.audit import lineage
    from flows.comparing import runs as comparing

    store = lake()
    if wanted is not None and (wanted.split("/")[0] in {artifact.stage for artifact in store.artifacts()}):
        found = find_artifact(wanted)
        return (found.name, *lineage(store, [found]))
    try:
        record = comparing.find_run(wanted or "last", comparing.pipeline_runs(Home.from_env()))
    except comparing.CompareError as error:
        if wanted is None and (newest := _newest_with_ledger(store)) is not None:
            return (newest.name, *lineage(store, [newest]))
        raise UserError(f"{error} An artifact can be named too; `textmill artifacts` lists them.") from error
    there = {artifact.name: artifact for artifact in store.artifacts()}
    gone = [name for name in record.artifacts.values() if name not in there]
    made, lost = lineage(store, [there[name] for name in record.artifacts.values() if name in there])
    # a stage that was a hit may have been made from an earlier artifact of the same content as the run's
    held = [a for a in made if record.artifacts.get(a.stage, a.name) == a.name]
    lost = [name for name in lost if name.partition("/")[0] not in record.artifacts]
    return f"{record.name} {record.run_id[:8]}", held, list(dict.fromkeys([*gone, *lost]))


def _newest_with_ledger(store: Lake) -> Artifact | None:
    return next((artifact for artifact in store.artifacts() if artifact.manifest.ledger), None)


def _print_audit(name: str, audit: Audit, gone: list[str]) -> None:
    console = output()
    columns = ("documents", "%", "bytes", "tokens")
    rows = table(f"{name}: what came in, and what happened to it", ("stage", "", *columns), columns)
    for stage in audit.stages:
        for number, row in enumerate(stage.rows()):
            rows.add_row(
                "" if number else stage.stage, *_cells(row, stage), style="bold" if row.entry == "kept" else ""
            )
        rows.add_section()
    console.print(rows)
    for stage in audit.stages:
        for problem in stage.problems:
            note(f"✗ {problem}")
        if not stage.problems:
            came = f", and its input is what {stage.follows} kept" if stage.follows else ""
            note(f"✓ {stage.artifact} adds up{came}.")
    for missing in gone:
        note(f"– {missing} is no longer in the lake, and neither is its ledger.")


def _cells(row: Row, stage: StageAudit) -> tuple[str, ...]:
    """A line's label, documents, their share of what came in, bytes and tokens."""
    came = stage.ledger.incoming.documents
    name = row.label if stage.ledger.counts == "documents" else f"{row.label} ({stage.ledger.counts})"
    share = "" if row.entry == "rewritten" or not came else f"{row.documents / came:.1%}"
    tokens = "–" if row.tokens is None else f"{row.tokens:,}"
    return (name, f"{row.documents:,}", share, f"{row.bytes:,}", tokens)


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="The lake",
        epilog=examples("textmill ledger", "textmill ledger last~1", "textmill ledger dedup", "textmill ledger --json"),
    )(ledger)
