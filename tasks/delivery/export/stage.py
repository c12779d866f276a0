"""The export stage: writes a model for other programs, and lets them read it to prove that they compute the same."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from data_lake.store.files import write_whole
from data_lake.store.lake import Lake
from tasks.delivery.export.card import model_card
from tasks.delivery.export.config import ExportConfig, Format
from tasks.delivery.export.held_out import held_out
from tasks.delivery.export.leaving import Leaving, Proof, log_likelihoods
from tasks.delivery.export.preflight import LIBRARIES, check
from tasks.delivery.export.writers import ONNX, gguf_file, writer_of
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.training.trained import chat_template_of, load_trained

CARD = "README.md"


def needed(name: Format) -> tuple[str, ...]:
    """Return the files without which no program opens a format."""
    if name.startswith("gguf-"):
        return (gguf_file(name), "Modelfile", CARD)
    if name == "onnx":
        return (ONNX, "tokenizer.json", CARD)
    return ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", CARD)


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that each format has the files without which no program opens it."""
    for name in artifact.manifest.payload["config"]["formats"]:
        for file in needed(name):
            if f"{name}/{file}" not in artifact.files:
                yield f"The folder {name} has no {file}."


def without(config: ExportConfig) -> Collection[str]:
    """Return the libraries of the formats that a config does not name."""
    used = {library for name in config.formats for library in LIBRARIES[name]}
    return {library for libraries in LIBRARIES.values() for library in libraries} - used


@stage(makes=kinds.Export, per="model", version=2, contract=contract, check=check, without=without)
def export(config: ExportConfig, out: Output, model: kinds.Model, corpus: kinds.Corpus | None = None) -> None:
    """Write the model in each format, and have it read by the program that the format is for.

    `logits_difference` and `log_probability_difference` are the largest differences between that program and the
    weights it was given. `bits_per_byte` is the model's own on the first held-out text of the corpus, and
    `bits_per_byte_lost_<format>` is how many more the program needs for it; null without such a text.
    """
    leaving = leaving_model(model, corpus.path if corpus else None, config.held_out_tokens)
    proofs: dict[Format, Proof] = {}
    for number, name in enumerate(config.formats):
        out.progress(number, len(config.formats), "formats", name)
        proofs[name] = write_format(leaving, out.dir / name, name, config.max_loss)
    out.metric(bits_per_byte=leaving.bits_per_byte)
    for name, proof in proofs.items():
        kind = "log_probability" if name.startswith("gguf-") else "logits"
        key = f"{kind}_difference"
        out.metric(**{key: max(proof.difference, out.metrics.get(key) or 0.0)})
        out.metric(**{f"bits_per_byte_lost_{name.replace('-', '_')}": proof.lost(leaving)})
    out.table("formats", [
        {"format": name, "bytes": size_of(out.dir / name), "bits per byte lost": proof.lost(leaving),
         "difference": proof.difference}
        for name, proof in proofs.items()
    ])  # fmt: skip
    out.text("card", (out.dir / config.formats[0] / CARD).read_text("utf-8"))


def size_of(folder: Path) -> int:
    """Return the bytes of a format's files without the card."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != CARD)


def leaving_model(model: Artifact, corpus: Path | None, tokens: int) -> Leaving:
    """Return a model with what is measured before it leaves; a quantised one in the float32 that its levels mean."""
    from model.quantising import dequantised

    network, tokenizer = load_trained(model)
    network = dequantised(network)
    context = network.config.max_seq_len
    text = held_out(corpus, tokenizer, context, tokens) if corpus and tokens and network.config.causal else None
    own = text and text.bits_per_byte(lambda windows: log_likelihoods(network, tokenizer, windows))
    return Leaving(model, network, tokenizer, chat_template_of(model), text, own or None)


def write_format(leaving: Leaving, folder: Path, name: Format, max_loss: float) -> Proof:
    """Write a model into a folder as one format, and return what was found on reading it again.

    Raises PermanentError, and leaves no folder, if the format has no such network, if what was written computes
    something else, or if it loses more than `max_loss` bits per byte.
    """
    model = leaving.artifact
    try:
        proof = writer_of(name)(leaving, folder, name)
        lost = proof.lost(leaving)
        if lost is not None and lost > max_loss:
            raise ValueError(
                f"it loses {lost:.3g} bits per byte of held-out text, and {max_loss:g} is allowed (export.max_loss)."
            )
    except ValueError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise PermanentError(f"{model.name} cannot be exported as {name}: {error}") from error
    write_whole(folder / CARD, model_card(Lake(model.path.parents[1]), leaving, name, proof))
    return proof
