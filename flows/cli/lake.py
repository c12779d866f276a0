"""`textmill artifacts` and `show`: what is in the lake, and where it came from."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_lake.reading.audit import ledger_rows
from data_lake.reading.ledger import Ledger
from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Miss
from data_lake.store.manifest import KEY_LENGTH
from flows.cli.arguments import AsJson, find_artifact, known_stage, lake
from flows.cli.console import examples, in_sentences, note, output, plain_text, print_json, table
from tasks.tracking.quantities import age, metric_text, size

if TYPE_CHECKING:
    from rich.console import Console

MAX_FILES_SHOWN = 30


@in_sentences
def artifacts(
    stage: Annotated[str | None, typer.Argument(metavar="STAGE", help="only this stage's")] = None,
    as_json: AsJson = False,
) -> None:
    """List what is in the lake, newest first."""
    if stage is not None:
        stage = known_stage(stage)
    found = lake().artifacts(stage)
    if as_json:
        print_json([summary(artifact) for artifact in found])
        return
    if not found:
        note("There is nothing in the lake yet; `textmill run demo` fills it.")
        return
    now = datetime.datetime.now(datetime.UTC)
    rows = table(
        "", ("artifact", "age", "size", "took", "what is in it", "built because"), ("artifact", "age", "size", "took")
    )
    rows.columns[0].justify = "left"
    for artifact in found:
        manifest = artifact.manifest
        rows.add_row(
            artifact.name,
            age((now - manifest.finished_at).total_seconds()),
            size(manifest.total_bytes),
            age(manifest.seconds),
            numbers(artifact),
            manifest.reason,
        )
    output().print(rows)


def summary(artifact: Artifact) -> dict[str, Any]:
    """The lines of `artifacts --json`."""
    manifest = artifact.manifest
    return {
        "artifact": artifact.name,
        "stage": artifact.stage,
        "key": artifact.key,
        "path": str(artifact.path),
        "finished_at": manifest.finished_at.isoformat(),
        "seconds": manifest.seconds,
        "bytes": manifest.total_bytes,
        "files": len(manifest.files),
        "counts": manifest.counts,
        "metrics": manifest.metrics,
        "reason": manifest.reason,
        "adopted_from": manifest.adopted_from,
        "content": manifest.content,
    }


def numbers(artifact: Artifact, limit: int = 4) -> str:
    """The first counts and metrics of an artifact in a line."""
    counts = [f"{value:,} {name.replace('_', ' ')}" for name, value in islice(artifact.counts.items(), limit)]
    metrics = [f"{name} {metric_text(value)}" for name, value in islice(artifact.metrics.items(), limit)]
    return ", ".join(counts + metrics)


@in_sentences
def show(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT", help="a stage (its newest artifact), stage/key or the first letters of a key"
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show one artifact: its manifest, files, counts, ledger, metrics, inputs and the payload behind its key."""
    found = find_artifact(artifact)
    checked = lake().lookup(found.stage, found.key)
    damage = checked.reason if isinstance(checked, Miss) else None
    if as_json:
        manifest = found.manifest.model_dump(mode="json")
        print_json({"artifact": found.name, "path": str(found.path), "damage": damage, **manifest})
        return
    console = output()
    _show_head(console, found, damage)
    if artifact.strip("/") == found.stage:
        _show_other_models(console, found)
    _show_numbers(console, found)
    _show_tables(console, found)
    _show_ledger(console, found)
    _show_payload(console, found)
    _show_files(console, found)


def _show_head(console: Console, artifact: Artifact, damage: str | None) -> None:
    from tasks.stage.kinds import report_of
    from tasks.tracking.watch import mlflow_run_id

    manifest = artifact.manifest
    provenance = manifest.provenance
    run_id = mlflow_run_id(Home.from_env(), artifact)
    lines = {
        "artifact": artifact.name + (f", adopted from {manifest.adopted_from}" if manifest.adopted_from else ""),
        "state": f"DAMAGED: {damage}" if damage else "intact: every file matches the manifest",
        "path": str(artifact.path),
        "built": f"{manifest.finished_at:%Y-%m-%d %H:%M:%S} UTC in {age(manifest.seconds)}, because: {manifest.reason}",
        "size": f"{size(manifest.total_bytes)} in {len(manifest.files)} files",
        "content": manifest.content,
        **{f"read as {role}": entry.name for role, entry in manifest.inputs.items()},
        **{name: run for name, run in {**manifest.runs, "mlflow_run_id": run_id}.items() if run},
        **({"report": str(report)} if (report := report_of(artifact)) is not None else {}),
        "commit": (provenance.get("git_commit") or "unknown")
        + (" with changes" if provenance.get("git_dirty") else ""),
    }
    _pairs(console, "", lines.items())


def _show_other_models(console: Console, artifact: Artifact) -> None:
    """The newest artifacts of the same stage about other models, where each model has one of its own."""
    if "model" not in artifact.manifest.inputs:
        return
    from tasks.stage.kinds import report_of

    shown = {artifact.manifest.inputs["model"].stage}
    pairs = []
    for one in lake().artifacts(artifact.stage):
        measured = one.manifest.inputs.get("model")
        if measured is not None and measured.stage not in shown:
            shown.add(measured.stage)
            report = report_of(one)
            pairs.append((one.name, f"of {measured.name}: {numbers(one)}" + (f", {report}" if report else "")))
    _pairs(console, "of other models", pairs)


def _show_numbers(console: Console, artifact: Artifact) -> None:
    counts = [(name, f"{value:,}") for name, value in artifact.counts.items()]
    metrics = [(name, metric_text(value)) for name, value in artifact.metrics.items()]
    if (gain := artifact.manifest.gain) is not None:
        _pairs(console, "gain", [(gain.verdict, str(gain))])
    _pairs(console, "counts", counts)
    _pairs(console, "metrics", metrics)


def _show_tables(console: Console, artifact: Artifact) -> None:
    """The rows of the JSON files that the artifact's kind names as its tables."""
    from tasks.stage import kinds

    for name in getattr(getattr(kinds, artifact.manifest.kind or "", None), "tables", ()):
        if name not in artifact.files or not (artifact.path / name).is_file():
            continue
        listed = json.loads((artifact.path / name).read_text("utf-8"))
        columns = list(listed[0]) if listed else []
        numeric = [c for c in columns if not any(isinstance(row[c], str) for row in listed)]
        rows = table(name.removesuffix(".json").replace("_", " "), [c.replace("_", " ") for c in columns],
                     [c.replace("_", " ") for c in numeric])  # fmt: skip
        for row in listed[:MAX_FILES_SHOWN]:
            rows.add_row(*(_cell(row[column]) for column in columns))
        console.print(rows)
        if len(listed) > MAX_FILES_SHOWN:
            note(f"… and {len(listed) - MAX_FILES_SHOWN} more rows in {artifact.path / name}.")


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else metric_text(value)


def _show_ledger(console: Console, artifact: Artifact) -> None:
    ledger = artifact.manifest.ledger
    if not ledger:
        return
    rows = table(
        "ledger: what came in = what went out", ("", "documents", "bytes", "tokens"), ("documents", "bytes", "tokens")
    )
    for row in ledger_rows(artifact.stage, Ledger.from_dict(ledger)):
        tokens = "–" if row.tokens is None else f"{row.tokens:,}"
        rows.add_row(row.label, f"{row.documents:,}", f"{row.bytes:,}", tokens)
    console.print(rows)


def _show_payload(console: Console, artifact: Artifact) -> None:
    from tasks.stage.config import flatten

    payload = artifact.manifest.payload
    config = [
        (name, json.dumps(value, ensure_ascii=False)) for name, value in flatten(payload.get("config", {})).items()
    ]
    _pairs(console, "config (as in the key)", config)
    _pairs(console, "libraries", payload.get("libraries", {}).items())
    _pairs(console, "code", [(module, str(digest)[:KEY_LENGTH]) for module, digest in payload.get("code", {}).items()])


def _show_files(console: Console, artifact: Artifact) -> None:
    rows = table("files", ("file", "size", "sha256"), ("size",))
    for path, entry in islice(artifact.files.items(), MAX_FILES_SHOWN):
        rows.add_row(path, size(entry.size), entry.sha256[:KEY_LENGTH])
    console.print(rows)
    if len(artifact.files) > MAX_FILES_SHOWN:
        note(f"… and {len(artifact.files) - MAX_FILES_SHOWN} more; --json has all.")


def _pairs(console: Console, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    rows = table(title, ("", " "))
    rows.show_header = False
    rows.columns[0].style = "dim"
    rows.columns[0].no_wrap = True
    for name, value in pairs:
        rows.add_row(name, plain_text(value))
    if rows.row_count:
        console.print(rows)


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command(
        rich_help_panel="The lake", epilog=examples("textmill artifacts", "textmill artifacts pretrain --json")
    )(artifacts)
    app.command(
        rich_help_panel="The lake",
        epilog=examples("textmill show dedup", "textmill show pretrain/1a2b", "textmill show sft --json"),
    )(show)
