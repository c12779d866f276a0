"""The export stage: writes a model for other programs, and reads it again to prove that it computes the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_lake.store.files import write_whole
from data_lake.store.lake import Lake
from tasks.delivery.export.card import model_card
from tasks.delivery.export.config import ExportConfig, Format
from tasks.stage import Artifact, Output, PermanentError, kinds, stage

NEEDED = {"hf": ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md")}
"""The files without which no program opens a format."""


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that each format has the files without which no program opens it."""
    for name in artifact.manifest.payload["config"]["formats"]:
        for file in NEEDED[name]:
            if f"{name}/{file}" not in artifact.files:
                yield f"The folder {name} has no {file}."


@stage(makes=kinds.Export, per="model", version=1, contract=contract)
def export(config: ExportConfig, out: Output, model: kinds.Model) -> None:
    """Write the model in each format. `logits_difference` is the largest between the model and what was written, for
    the same token ids, after reading it again; at most 1e-5 is allowed.
    """
    differences = [export_model(model, out.dir / name, name) for name in config.formats]
    out.metric(logits_difference=max(differences))
    out.text("card", (out.dir / config.formats[0] / "README.md").read_text("utf-8"))


def export_model(model: Artifact, folder: Path, name: Format = "hf") -> float:
    """Write a model into a folder, and return the largest difference of logits after reading it again.

    Raises PermanentError if the format has no such network, or if what was written computes something else.
    """
    from model.huggingface.export import prove, write_folder
    from tasks.training.trained import chat_template_of, load_trained

    network, tokenizer = load_trained(model)
    assert name == "hf"
    try:
        write_folder(network, tokenizer, folder, chat=chat_template_of(model))
        difference = prove(network, folder)
    except ValueError as error:
        raise PermanentError(f"{model.name} cannot be exported: {error}") from error
    write_whole(folder / "README.md", model_card(Lake(model.path.parents[1]), model))
    return difference
