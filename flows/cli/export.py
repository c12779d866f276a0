"""`textmill export`: a model of the lake as files that other programs open."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from data_lake.reading.audit import lineage
from data_lake.store.lake import Artifact, Miss
from flows.cli.arguments import AsJson, find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note, print_json, write
from tasks.delivery.export.config import ExportConfig, Format
from tasks.delivery.export.preflight import missing_for

FORMATS: tuple[Format, ...] = get_args(Format)


@in_sentences
def export(
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="where to write it; a new folder, or an empty one")],
    artifact: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="a model: sft, pretrain (the newest), stage/key; none = the newest"),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(FORMATS)}; several make a folder for each (none = hf)"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model for other programs, and let them prove that they compute the same.

    hf is the folder of Hugging Face, which transformers and vLLM open; gguf-… is a file for llama.cpp with a Modelfile
    for Ollama.
    """
    found, formats = _model(artifact), _formats(format or ["hf"])
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} is there already; name a folder that is new or empty.")
    from tasks.delivery.export.stage import leaving_model, size_of, write_format

    config = ExportConfig(formats=formats)
    part = to.with_name(f".{to.absolute().name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        leaving = leaving_model(found, _corpus(found), config.held_out_tokens)
        folders = {name: part / name if len(formats) > 1 else part for name in formats}
        proofs = {name: write_format(leaving, folder, name, config.max_loss) for name, folder in folders.items()}
        sizes = {name: size_of(folder) for name, folder in folders.items()}
        if to.exists():
            to.rmdir()
        os.replace(part, to)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    rows = [
        {
            "format": name,
            "difference": proof.difference,
            "bits_per_byte_lost": proof.lost(leaving),
            "bytes": sizes[name],
        }
        for name, proof in proofs.items()
    ]
    if as_json:
        files = sorted(str(path.relative_to(to)) for path in to.rglob("*") if path.is_file())
        print_json({"artifact": found.name, "folder": str(to), "formats": rows, "files": files})
        return
    write(f"{to}\n")
    for name, proof in proofs.items():
        lost = proof.lost(leaving)
        told = "" if lost is None else f", and it loses {round(lost, 4) + 0.0:.4f} bits per byte of held-out text"
        what = "log-probabilities" if name.startswith("gguf-") else "logits"
        note(
            f"{found.name} is in {to} as {name} ({sizes[name] / 1e6:.1f} MB); read again, its {what} differ by "
            f"{proof.difference:.1g} at most{told}."
        )


def _formats(names: list[str]) -> tuple[Format, ...]:
    """Return formats by their names; all that each needs has to be installed."""
    for name in names:
        if name not in FORMATS:
            raise UserError(f"There is no format {name!r}; there are {', '.join(FORMATS)}.")
        if missing := missing_for(cast("Format", name)):
            raise UserError(missing)
    return tuple(cast("Format", name) for name in dict.fromkeys(names))


def _corpus(model: Artifact) -> Path | None:
    """Return the corpus that a model was made from, if the lake still has it."""
    made_from = [one for one in lineage(lake(), [model])[0] if one.manifest.kind == "Corpus"]
    return made_from[-1].path if made_from else None


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
        epilog=examples(
            "textmill export sft --to my-model", "textmill export --format hf --format gguf-q8_0 --to both"
        ),
    )(export)
