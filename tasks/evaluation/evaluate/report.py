"""Reports of evaluations: a row per item, and a text that compares the models of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_lake.store.lake import Artifact
from data_lake.tables.documents import write_parquet
from tasks.evaluation.evaluate.contaminated import parts_in_words
from tasks.evaluation.evaluate.controls import IN_WORDS, SHUFFLED, depends_on_order, verdict

_FORMATS = ("hellaswag", "mmlu", "mmlu_letters", "mmlu_cloze")
_NO_BETTER = "not distinguishable from chance"


def write_items(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all rows as one Parquet file, which SQL reads as `predictions`."""
    import pyarrow as pa

    from data_lake.tables.schemas import PREDICTIONS

    write_parquet(path, pa.Table.from_pylist(list(rows), schema=PREDICTIONS))


def comparison(models: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a comparison of the models as text for a person: bits per byte against xz, accuracy against chance.

    models: name of a model -> its results; all models were asked the same questions.
    """
    width = max(map(len, [*models, "xz -9e"]))
    xz = next(iter(models.values()))["compression"]
    primed = "" if xz["xz_primed"] is None else f", or {xz['xz_primed']:.3f} after the training text"
    lines = ["Held-out text, bits per byte (less is better):"]
    lines += [f"  {name:<{width}} {found['text']['bits_per_byte']:.3f}" for name, found in models.items()]
    lines += [f"  {'xz -9e':<{width}} {xz['xz']:.3f}{primed}", "Multiple choice, share right (± standard error):"]
    for benchmark, title in (("hellaswag", "HellaSwag format"), ("mmlu", "MMLU format")):
        marks = [
            _mark(f"{name:<{width}}", results["benchmarks"][benchmark])
            for name, results in models.items()
            if benchmark in results["benchmarks"]
        ]
        if marks:
            lines += [f"  {title}:", *(f"    {mark}" for mark in marks), *_unbeaten(benchmark, models)]
    for benchmark in ("mmlu_letters", "mmlu_cloze"):
        found = {name: results["benchmarks"].get(benchmark) for name, results in models.items()}
        shares = ", ".join(f"{name} {_share(one)}{_caveats(one)}" for name, one in found.items() if one)
        if shares:
            lines.append(f"  {benchmark.replace('_', ' by ')}: {shares}")
    return "\n".join([*lines, *_official(models, width)])


def _official(models: Mapping[str, Mapping[str, Any]], width: int) -> Iterator[str]:
    """Yield the lines of the official benchmarks."""
    names = dict.fromkeys(name for results in models.values() for name in results["benchmarks"] if name not in _FORMATS)
    if names:
        yield "Official benchmarks (± standard error):"
    for name in names:
        found = {
            model: results["benchmarks"][name] for model, results in models.items() if name in results["benchmarks"]
        }
        first = next(iter(found.values()))
        shots = f", {first['shots']} shots" if first["shots"] else ""
        yield f"  {name} ({first['metric']}{shots}):"
        yield from (f"    {_mark(f'{model:<{width}}', one)}" for model, one in found.items())
        yield from _unbeaten(name, models)


def _unbeaten(benchmark: str, models: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each control that some of the models do not beat by two standard errors."""
    found: dict[str, list[str]] = {}
    for name, results in models.items():
        if benchmark in results["benchmarks"] and (unbeaten := verdict(results["benchmarks"][benchmark])) is not None:
            found.setdefault(unbeaten[0], []).append(name)
    for control, names in found.items():
        some = f"{', '.join(names[:-1])} and {names[-1]} do" if len(names) > 1 else f"{names[0]} does"
        yield (
            f"    {some} not beat {IN_WORDS[control]} by two standard errors: what is scored here is not whether "
            "questions are answered."
        )


def comparisons(evaluations: Mapping[str, Artifact]) -> list[str]:
    """Return one comparison for each set of questions that the run's models were asked, in the order of the models.

    evaluations: name of a model -> its evaluation. Models that were asked different questions are not compared.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, evaluation in evaluations.items():
        results = json.loads((evaluation.path / "results.json").read_text("utf-8"))
        groups.setdefault(evaluation.manifest.inputs["questions"].content, {})[name] = results
    return [comparison(models) for models in groups.values()]


def _mark(name: str, found: Mapping[str, Any]) -> str:
    """Return one model's value of the main metric and, if there is a chance level, the distance from it in standard
    errors."""
    metric = found["metric"]
    share, stderr, chance = found[metric], found[f"{metric}_stderr"], found["chance"]
    how = f" [{found['format'].removeprefix('mmlu_')}]" if "format" in found else ""
    if share is None:
        return f"{name}{how} asked nothing{_caveats(found)}"
    asked = f"{found['n']:,}" if found["n"] == found["available"] else f"{found['n']:,} of {found['available']:,}"
    error = f" ± {stderr:.3f}" if stderr else ""
    by_chance = "" if chance is None else f", chance {chance:.3f}"
    if stderr and chance is not None:
        distance = (share - chance) / stderr
        verdict = "beats chance" if distance > 2 else _NO_BETTER if distance > -2 else "below chance"
        by_chance += f": {distance:+.1f} s.e., {verdict}"
    more = f"{_by_controls(found)}{_caveats(found)}{parts_in_words(found)}"
    return f"{name}{how} {share:.3f}{error} of {asked}{by_chance}{more}"


def _by_controls(found: Mapping[str, Any]) -> str:
    """Return the values of the controls, and whether the score depends on the order of the choices."""
    values = {name: one["value"] for name, one in found.get("controls", {}).items() if name != SHUFFLED}
    said = "".join(f"; {IN_WORDS[name]} {value:.3f}" for name, value in values.items() if value is not None)
    if depends_on_order(found):
        said += f"; depends on the order of the choices ({found['controls'][SHUFFLED]['value']:.3f} in another)"
    return said


def _share(found: Mapping[str, Any]) -> str:
    return "–" if found["acc_norm"] is None else f"{found['acc_norm']:.3f}"


def _caveats(found: Mapping[str, Any]) -> str:
    """Return how many items were cut or left out; empty if all were asked in full."""
    said = []
    if found["n_truncated"]:
        said.append(f"{found['n_truncated']:,} of {found['n']:,} prompts cut to the context")
    if found["n_too_long"]:
        said.append(f"{found['n_too_long']:,} left out, as a choice is longer than the context")
    return f" [{'; '.join(said)}]" if said else ""
