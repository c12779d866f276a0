"""What the report page of evaluations says: numbers, verdicts and samples of each model, taken from its results."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_lake.reading.audit import lineage
from data_lake.store.lake import Artifact, Lake
from tasks.evaluation.evaluate.controls import BEATEN, IN_WORDS, SHUFFLED, depends_on_order, verdict
from tasks.evaluation.evaluate.strips import strip_of
from tasks.tracking.quantities import duration, size

SHAPES_NO_RESULT = "says what was measured"

SAMPLES = 3
"""Items that are shown of each benchmark, of those that the model got right and of those that it got wrong."""
MOST_SUBJECTS, MOST_CHARACTERS = 60, 1200
TEXT_MEASURES = {
    "bits_per_byte": "bits per byte",
    "bits_per_character": "bits per character",
    "token_perplexity": "perplexity per token",
    "word_perplexity": "per word",
    "byte_perplexity": "per byte",
}
_COUNTED = {"parameters": "weights", "steps": "steps", "tokens_read": "tokens read", "tokens": "tokens"}


@dataclass(frozen=True)
class Measured:
    """One model as it was measured.

    tokens: those that it read in its items. samples: of each benchmark, a few rows of per_item.parquet.
    """

    name: str
    results: Mapping[str, Any]
    tokens: int
    samples: Mapping[str, Sequence[Mapping[str, Any]]]
    cost: Mapping[str, str] = field(default_factory=dict)


def measured(name: str, results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], model: Artifact) -> Measured:
    """Return what has just been measured of a model. How long that took is not known yet: the manifest will say."""
    samples: dict[str, list[Mapping[str, Any]]] = {}
    for place in drawn(rows):
        samples.setdefault(rows[place]["benchmark"], []).append(rows[place])
    return Measured(name, results, sum(row["tokens"] for row in rows), samples, cost_of(model))


def read_measured(name: str, evaluation: Artifact) -> Measured:
    """Return what an evaluation in the lake has measured, and what the model and its evaluation cost."""
    import pyarrow.parquet as pq

    results = json.loads((evaluation.path / "results.json").read_text("utf-8"))
    table = pq.read_table(evaluation.path / "per_item.parquet")
    light = table.select(["benchmark", "item", "score", "correct", "tokens"]).to_pylist()  # prompts are long
    samples: dict[str, list[Mapping[str, Any]]] = {}
    for row in table.take(drawn(light)).to_pylist():
        samples.setdefault(row["benchmark"], []).append(row)
    entry, manifest = evaluation.manifest.inputs["model"], evaluation.manifest
    model = Lake(evaluation.path.parent.parent).lookup(entry.stage, entry.key)
    cost = cost_of(model) if isinstance(model, Artifact) else {"model": f"{entry.name}, no longer in the lake"}
    cost["evaluation"] = f"{duration(manifest.seconds)} on {hardware_of(manifest.provenance)}"
    return Measured(name, results, sum(row["tokens"] for row in light), samples, cost)


def cost_of(model: Artifact) -> dict[str, str]:
    """Return what making a model cost."""
    made, _ = lineage(Lake(model.path.parent.parent), [model])
    seconds, manifest = sum(one.manifest.seconds for one in made), model.manifest
    counted = ", ".join(f"{model.counts[name]:,} {word}" for name, word in _COUNTED.items() if name in model.counts)
    return {
        "model": f"{model.name}: {counted}" if counted else model.name,
        "made in": f"{duration(manifest.seconds)} on {hardware_of(manifest.provenance)}",
        "with all that it was made from": f"{duration(seconds)} for {len(made):,} artifacts",
    }


def hardware_of(provenance: Mapping[str, Any]) -> str:
    """Return the machine that something was made on, as words."""
    gpus = [str(one.get("name", one) if isinstance(one, Mapping) else one) for one in provenance.get("gpus") or ()]
    said = [f"{gpus.count(name)} × {name}" for name in dict.fromkeys(gpus)]
    said += [f"{count} CPU cores"] if (count := provenance.get("cpu_count")) else []
    said += [f"{size(memory)} of memory"] if (memory := provenance.get("memory_bytes")) else []
    return ", ".join(said) or "an unknown machine"


def content_of(models: Sequence[Measured]) -> dict[str, Any]:
    """Return all that the page's template fills in."""
    names = dict.fromkeys(name for one in models for name in one.results["benchmarks"])
    shown = [name for name in names if name != "mmlu" or not {"mmlu_letters", "mmlu_cloze"} & set(names)]
    return {
        "models": [one.name for one in models],
        "text": _texts(models),
        "benchmarks": [
            _benchmark(name, [one for one in models if name in one.results["benchmarks"]]) for name in shown
        ],
        "costs": {one.name: {**one.cost, "tokens read in items": f"{one.tokens:,}"} for one in models},
        "toxicity": {one.name: one.results["toxicity"] for one in models if one.results.get("toxicity")},
        "files": list({json.dumps(file): file for one in models for file in one.results.get("files", ())}.values()),
        "beaten": BEATEN,
    }


def _texts(models: Sequence[Measured]) -> dict[str, Any]:
    compression = models[0].results["compression"]
    return {
        "measures": TEXT_MEASURES,
        "models": {one.name: one.results["text"] for one in models},
        "xz": compression.get("xz"),
        "xz_primed": compression.get("xz_primed"),
        "groups": {
            column: _groups(models, column)
            for column in ("sources", "languages")
            if any(one.results["text"].get(column) for one in models)
        },
    }


def _groups(models: Sequence[Measured], column: str) -> list[dict[str, Any]]:
    """Return a row for each source or language: its size, and each model's bits per byte."""
    groups = {one.name: one.results["text"].get(column, {}) for one in models}
    first: dict[str, Mapping[str, Any]] = {}
    for found in groups.values():
        first = {**found, **first}
    return [
        {
            "name": name,
            "documents": own["documents"],
            "bytes": own["bytes"],
            "values": [groups[one.name].get(name, {}).get("bits_per_byte") for one in models],
        }
        for name, own in first.items()
    ]


def _benchmark(name: str, models: Sequence[Measured]) -> dict[str, Any]:
    found = [one.results["benchmarks"][name] for one in models]
    metric = found[0]["metric"]
    subjects: dict[str, int] = {}
    for one in found:
        subjects |= {subject: part["n"] for subject, part in one.get("subjects", {}).items() if _is_name(subject)}
    largest = sorted(sorted(subjects), key=lambda subject: -subjects[subject])[:MOST_SUBJECTS]
    return {
        "name": name,
        "metric": metric,
        "shots": found[0]["shots"],
        "rows": [_row(one.name, own) for one, own in zip(models, found, strict=True)],
        "subjects": [
            {
                "name": subject,
                "n": subjects[subject],
                "values": [_part(own.get("subjects", {}).get(subject, {}), metric) for own in found],
            }
            for subject in largest
        ],
        "more_subjects": len(subjects) - len(largest),
        "samples": {
            one.name: {
                word: [_sample(row, metric) for row in one.samples.get(name, ()) if is_right(row) is right]
                for word, right in (("right", True), ("wrong", False))
            }
            for one in models
        },
    }


def _is_name(subject: str) -> bool:
    """Return whether a subject says something: that of an item made from a page is the id of the page."""
    return bool(subject) and not re.fullmatch("[0-9a-f]{16}", subject)


def _row(model: str, found: Mapping[str, Any]) -> dict[str, Any]:
    metric = found["metric"]
    return {
        "model": model,
        **_part(found, metric),
        "available": found["available"],
        "chance": found["chance"],
        "controls": [(IN_WORDS[name], control["value"]) for name, control in found.get("controls", {}).items()],
        "verdicts": verdicts_of(found),
        "clean": _part(found["clean"], metric),
        "contaminated": _part(found["contaminated"], metric),
        "others": [
            (key, value, found.get(f"{key}_stderr"))
            for key, value in found.items()
            if key.startswith(("acc", "f1", "em", "exact")) and not key.endswith("_stderr") and key != metric
        ],
        "truncated": found["n_truncated"],
        "too_long": found["n_too_long"],
    }


def _part(found: Mapping[str, Any], metric: str) -> dict[str, Any]:
    return {
        "value": found.get(metric),
        "stderr": found.get(f"{metric}_stderr"),
        "n": found.get("n", 0),
        "strip": strip_of(found, metric),
    }


def verdicts_of(found: Mapping[str, Any]) -> list[str]:
    """Return what a score says against chance and controls, a sentence for each thing to know."""
    metric = found["metric"]
    value, stderr, chance = found[metric], found[f"{metric}_stderr"], found["chance"]
    said = []
    if value is not None and stderr and chance is not None:
        distance = (value - chance) / stderr
        if abs(distance) <= BEATEN:
            side = "below" if distance < 0 else "above"
            said.append(f"It cannot be told from chance ({abs(distance):.1f} standard errors {side} it).")
        elif distance < 0:
            said.append(f"It lies {-distance:.1f} standard errors below chance.")
        else:
            said.append(f"It beats chance by {distance:.1f} standard errors.")
    if (unbeaten := verdict(found)) is not None:
        name, level = unbeaten
        said.append(f"It does not beat {IN_WORDS[name]} ({level:.3f}) by two standard errors.")
    if depends_on_order(found):
        other = found["controls"][SHUFFLED]["value"]
        said.append(f"It depends on the order of the choices ({other:.3f} in another).")
    return said


def drawn(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the places of a few rows of each benchmark, right ones and wrong ones, chosen by hash of their items."""
    taken: Counter[tuple[str, bool]] = Counter()
    order = sorted(range(len(rows)), key=lambda place: hashlib.sha256(str(rows[place]["item"]).encode()).digest())
    chosen = []
    for place in order:
        right = is_right(rows[place])
        if right is not None and taken[rows[place]["benchmark"], right] < SAMPLES:
            taken[rows[place]["benchmark"], right] += 1
            chosen.append(place)
    return chosen


def is_right(row: Mapping[str, Any]) -> bool | None:
    """Return whether an item was answered right by the main metric; None where nothing is right or wrong."""
    score = row["score"] if row["score"] is not None else row["correct"]
    return None if score is None or not 0 <= score <= 1 else score >= 0.5


def _sample(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    scores = list(row["log_likelihoods"])
    if len(scores) != len(row["choices"]):
        scores = []
    by = {"acc_norm": len, "acc_bytes": lambda text: len(text.encode())}.get(metric, lambda text: 1)
    ranks = [score / max(1, by(text)) for score, text in zip(scores, row["choices"], strict=False)]
    return {
        "item": row["item"],
        "subject": row["subject"] if _is_name(row["subject"]) else "",
        "prompt": shortened(row["context"]),
        "choices": [
            {
                "text": shortened(text),
                "score": scores[number] if scores else None,
                "gold": number == row["gold"],
                "chosen": bool(ranks) and ranks[number] == max(ranks),
            }
            for number, text in enumerate(row["choices"])
        ],
        "answer": None if scores else shortened(row["answer"] or ""),
        "contaminated": row["contaminated"],
        "truncated": row["truncated"],
    }


def shortened(text: str) -> str:
    """Return the end of a long text: there stands what is asked."""
    return text if len(text) <= MOST_CHARACTERS else f"… {text[-MOST_CHARACTERS:]}"
