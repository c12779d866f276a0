"""The model card: what a model is, how it was made, of which data and with which results, told from its lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_lake.reading.audit import audit_of, lineage
from data_lake.store.lake import Artifact, Lake
from model.shape import GPTConfig
from tasks.tracking.quantities import metric_text
from tasks.training.trained import chat_template_of, config_of

FAMILIES = {"llama": "Llama", "qwen3": "Qwen3", "gpt2": "GPT-2"}


def model_card(lake: Lake, model: Artifact) -> str:
    """Return a model's README.md. Only manifests are read; an ancestor that is no longer in the lake is named.

    The licence is left to whoever publishes the model: it follows from the sources, which only they have read.
    """
    ancestors, gone = lineage(lake, [model])
    chats = chat_template_of(model) is not None
    parts = [
        _front_matter(config_of(model)),
        f"# {model.stage}-{model.key[:8]}",
        _what_it_is(model, config_of(model), chats=chats),
        "## Use",
        _use(chats=chats),
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


def _front_matter(config: GPTConfig) -> str:
    lines = ["library_name: transformers", "pipeline_tag: text-generation", "tags:", "- textmill", f"- {config.family}"]
    return "\n".join(["---", *lines, "---"])


def _what_it_is(model: Artifact, config: GPTConfig, *, chats: bool) -> str:
    talks = "was taught to answer in the chat template that it carries" if chats else "continues texts"
    return (
        f"A {FAMILIES[config.family]} of {model.counts['parameters']:,} weights that {talks}: {config.n_layer} layers, "
        f"{config.d_model} wide, {config.n_head} heads ({config.n_kv_head} for keys and values), "
        f"{config.vocab_size:,} token ids, a context of {config.max_seq_len:,} tokens. The weights are float32."
    )


def _use(*, chats: bool) -> str:
    load = [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'folder = "."  # this one',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "model = AutoModelForCausalLM.from_pretrained(folder)",
    ]
    if chats:
        ask = [
            'messages = [{"role": "user", "content": "What is a mill?"}]',
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
            ")",
        ]
    else:
        ask = ['inputs = tokenizer("The mill", return_tensors="pt")']
    write = ["ids = model.generate(**inputs, max_new_tokens=60)[0]", "print(tokenizer.decode(ids))"]
    return "\n".join(["```python", *load, *ask, *write, "```"])


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
