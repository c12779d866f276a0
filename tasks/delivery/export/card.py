"""The model card: what a model is, how it was made, of which data and with which results, told from its lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_lake.reading.audit import audit_of, lineage
from data_lake.store.lake import Artifact, Lake
from model.shape import GPTConfig
from tasks.delivery.export.config import Format
from tasks.delivery.export.leaving import Leaving, Proof
from tasks.delivery.export.use import how_to_use
from tasks.tracking.quantities import metric_text
from tasks.training.trained import config_of

WEIGHTS: dict[str, str] = {"hf": "float32", "onnx": "float32", "gguf-f32": "float32", "gguf-f16": "float16"}
FAMILIES = {"llama": "Llama", "qwen3": "Qwen3", "gpt2": "GPT-2"}


def model_card(lake: Lake, leaving: Leaving, name: Format, proof: Proof) -> str:
    """Return the README.md of a model in one format. Of what made it only manifests are read; an ancestor that is no
    longer in the lake is named.

    The licence is left to whoever publishes the model: it follows from the sources, which only they have read.
    """
    model = leaving.artifact
    ancestors, gone = lineage(lake, [model])
    config, chats = config_of(model), leaving.chat is not None
    parts = [
        _front_matter(config, name),
        f"# {leaving.name}",
        _what_it_is(model, config, name, chats=chats),
        "## Use",
        how_to_use(leaving, name),
        "## Proof",
        _proof(leaving, name, proof),
        "## Results",
        _results(ancestors),
        "## Data",
        _data(ancestors),
        "## Made by",
        _stages(ancestors, gone),
        "## Licence",
        "None is stated. It depends on the sources of the training data; add it here and above before you publish.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(config: GPTConfig, name: Format) -> str:
    library = {"hf": "transformers", "onnx": "onnxruntime"}.get(name, "gguf")
    lines = [f"library_name: {library}", "pipeline_tag: text-generation", "tags:", "- textmill", f"- {config.family}"]
    return "\n".join(["---", *lines, "---"])


def _proof(leaving: Leaving, name: Format, proof: Proof) -> str:
    """Say what was compared when the format was written, and what it loses."""
    reader = {"hf": "textmill", "onnx": "onnxruntime"}.get(name, "llama.cpp")
    what = "log-probabilities of the likeliest tokens" if reader == "llama.cpp" else "logits"
    told = [
        f"Read again by {reader}, its {what} differ from those of the weights in it by {proof.difference:.2g} at most."
    ]
    lost = proof.lost(leaving)
    if lost is not None and leaving.bits_per_byte is not None and leaving.held_out is not None:
        told.append(
            f"On {leaving.held_out.n_bytes:,} bytes of held-out text {reader} needs {proof.bits_per_byte:.4f} bits per "
            f"byte, {abs(lost):.4f} {'more' if lost >= 0 else 'less'} than the model itself."
        )
    if proof.differs:
        told.append(f"Known to be split otherwise than at home: {proof.differs}.")
    return " ".join(told)


def _what_it_is(model: Artifact, config: GPTConfig, name: Format, *, chats: bool) -> str:
    talks = "was taught to answer in the chat template that it carries" if chats else "continues texts"
    return (
        f"A {FAMILIES[config.family]} of {model.counts['parameters']:,} weights that {talks}: {config.n_layer} layers, "
        f"{config.d_model} wide, {config.n_head} heads ({config.n_kv_head} for keys and values), "
        f"{config.vocab_size:,} token ids, a context of {config.max_seq_len:,} tokens. "
        f"The weights are {WEIGHTS.get(name) or name.removeprefix('gguf-').upper()}."
    )


def _results(ancestors: Sequence[Artifact]) -> str:
    rows = [
        (artifact.name, name.replace("_", " "), metric_text(value))
        for artifact in ancestors
        if artifact.manifest.kind == "Model"
        for name, value in artifact.metrics.items()
        if name.startswith(("validation_", "train_loss"))
    ]
    if not rows:
        return "None were measured while it was made."
    return _table(("model", "metric", "value"), rows)


def _data(ancestors: Sequence[Artifact]) -> str:
    rows = [
        (row.stage, row.label, f"{row.documents:,}", f"{row.bytes:,}", "–" if row.tokens is None else f"{row.tokens:,}")
        for row in audit_of(ancestors).rows()
    ]
    came_in = [artifact.name for artifact in ancestors if artifact.stage == "import_model"]
    parts = [f"What {came_in[0]} was trained on before it came in is not known here."] if came_in else []
    if rows:
        parts.append("What came in, was removed and was kept, stage by stage:")
        parts.append(_table(("stage", "", "documents", "bytes", "tokens"), rows))
    return "\n\n".join(parts) or "It was trained on nothing that the lake knows of."


def _stages(ancestors: Sequence[Artifact], gone: Sequence[str]) -> str:
    rows = [(artifact.name, ", ".join(_settings(artifact))) for artifact in ancestors]
    lost = f"\n\nNo longer in the lake: {', '.join(gone)}." if gone else ""
    return "textmill, stage by stage:\n\n" + _table(("artifact", "settings"), rows) + lost


def _settings(artifact: Artifact) -> Iterator[str]:
    """Yield the settings of a training that people ask for first."""
    training: Mapping[str, Any] = artifact.manifest.payload.get("config", {}).get("training") or {}
    for name in ("steps", "batch_size", "learning_rate", "schedule", "seed"):
        if name in training:
            yield f"{name.replace('_', ' ')} {training[name]}"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)])
