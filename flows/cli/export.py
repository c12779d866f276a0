"""`textmill export`: a model of the lake as a folder that other programs open."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from data_lake.store.lake import Artifact, Miss
from flows.cli.arguments import AsJson, find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note, print_json, write


@in_sentences
def export(
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="where to write it; a new folder, or an empty one")],
    artifact: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="a model: sft, pretrain (the newest), stage/key; none = the newest"),
    ] = None,
    format: Annotated[Literal["hf"], typer.Option(help="hf = Hugging Face, which transformers and vLLM open")] = "hf",
    as_json: AsJson = False,
) -> None:
    """Write a model for other programs, and prove that what was written computes the same."""
    found = _model(artifact)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} is there already; name a folder that is new or empty.")
    from tasks.delivery.export.stage import export_model

    part = to.with_name(f".{to.absolute().name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        difference = export_model(found, part, format)
        if to.exists():
            to.rmdir()
        os.replace(part, to)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    if as_json:
        files = sorted(path.name for path in to.iterdir())
        print_json({"artifact": found.name, "folder": str(to), "logits_difference": difference, "files": files})
        return
    write(f"{to}\n")
    note(f"{found.name} is in {to}; read again, its logits differ by {difference:.1g} at most.")


def _model(name: str | None) -> Artifact:
    """Return the model that a name refers to, whole; without a name, the newest of all."""
    if name is None:
        newest = next((one for one in lake().artifacts() if one.manifest.kind == "Model"), None)
        if newest is None:
            raise UserError("The lake has no model yet; `textmill run demo` makes one.")
        found = newest
    else:
        found = find_artifact(name)
    if "model.safetensors" not in found.files:
        raise UserError(f"{found.name} is no model; name one, as in: textmill export sft --to my-model")
    if isinstance(checked := lake().lookup(found.stage, found.key), Miss):
        raise UserError(f"{found.name} cannot be used: {checked.reason}. `textmill run` builds it again.")
    return found


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples("textmill export sft --to my-model", "textmill export pretrain/1a2b --format hf --to base"),
    )(export)
