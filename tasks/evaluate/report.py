"""The reports of an evaluation: one row per item, and the comparison as a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_lake.documents import write_parquet
from tasks.decontaminate.judge import Contamination
from tasks.evaluate.benchmarks import Accuracy
from tasks.evaluate.contaminated import parts_in_words


def rows_of(model: str, benchmark: str, accuracy: Accuracy, contamination: Contamination) -> Iterator[dict[str, Any]]:
    """Yield a row per item: what was asked, what each choice scored, whether it was right, what training has of it."""
    flags, fractions = contamination.contaminated.tolist(), contamination.fraction.tolist()
    for item in accuracy.items:
        found = {"contaminated": flags[item["item"]], "found_in_training": fractions[item["item"]]}
        yield {"model": model, "benchmark": benchmark, **item, **found}


def write_items(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all rows as one Parquet file."""
    import pyarrow as pa

    schema = pa.schema(
        [
            pa.field("model", pa.string(), nullable=False),
            pa.field("benchmark", pa.string(), nullable=False),
            pa.field("item", pa.int32(), nullable=False),
            pa.field("context", pa.string(), nullable=False),
            pa.field("choices", pa.list_(pa.string()), nullable=False),
            pa.field("gold", pa.int32(), nullable=False),
            pa.field("log_likelihoods", pa.list_(pa.float64()), nullable=False),
            pa.field("correct", pa.bool_(), nullable=False),
            pa.field("correct_norm", pa.bool_(), nullable=False),
            pa.field("tokens_cut", pa.int32(), nullable=False),  # from the beginning of the prompt
            pa.field("contaminated", pa.bool_(), nullable=False),  # training documents have n-grams of the item ...
            pa.field("found_in_training", pa.float64(), nullable=False),  # ... this share of them
        ]
    )
    write_parquet(path, pa.Table.from_pylist(list(rows), schema=schema))


def comparison(results: dict[str, Any]) -> str:
    """Return the lines that a person reads: text against xz, items against chance, before and after fine-tuning."""
    text, marks, xz = results["text"], results["benchmarks"], results["compression"]
    primed = "not measured" if xz["xz_primed"] is None else f"{xz['xz_primed']:.3f}"
    lines = [
        "Held-out text, bits per byte (less is better):",
        f"  pretrained {text['pretrain']['bits_per_byte']:.3f}   fine-tuned {text['sft']['bits_per_byte']:.3f}   "
        f"xz -9e {xz['xz']:.3f}   xz -9e that has seen the training text {primed}",
        "Multiple choice, share right (± standard error):",
    ]
    for name, title in (("hellaswag", "HellaSwag format"), ("mmlu", "MMLU format")):
        lines += [f"  {title}:"] + [f"    {_mark(model, marks[model][name])}" for model in ("pretrain", "sft")]
    for name in ("mmlu_letters", "mmlu_cloze"):
        shares = ", ".join(
            f"{model} {_share(marks[model][name])}{_caveats(marks[model][name])}" for model in ("pretrain", "sft")
        )
        lines.append(f"  {name.replace('_', ' by ')}: {shares}")
    return "\n".join(lines)


def _mark(model: str, found: dict[str, Any]) -> str:
    """Return one model's share with how far it is from chance, in standard errors."""
    share, stderr, chance = found["acc_norm"], found["acc_norm_stderr"], found["chance"]
    name = {"pretrain": "pretrained", "sft": "fine-tuned"}[model]
    how = f" [{found['format'].removeprefix('mmlu_')}]" if "format" in found else ""
    if share is None:
        return f"{name}{how} asked nothing{_caveats(found)}"
    asked = f"{found['n']:,}" if found["n"] == found["available"] else f"{found['n']:,} of {found['available']:,}"
    if not stderr:
        return f"{name}{how} {share:.3f} of {asked}, chance {chance:.3f}{_caveats(found)}{parts_in_words(found)}"
    distance = (share - chance) / stderr
    verdict = "beats chance" if distance > 2 else "not distinguishable from chance" if distance > -2 else "below chance"
    return (
        f"{name}{how} {share:.3f} ± {stderr:.3f} of {asked}, chance {chance:.3f}: {distance:+.1f} s.e., {verdict}"
        f"{_caveats(found)}{parts_in_words(found)}"
    )


def _share(found: dict[str, Any]) -> str:
    return "–" if found["acc_norm"] is None else f"{found['acc_norm']:.3f}"


def _caveats(found: dict[str, Any]) -> str:
    """Return in how far the items were not asked as they are; empty where they were."""
    said = []
    if found["n_truncated"]:
        said.append(f"{found['n_truncated']:,} of {found['n']:,} prompts cut to the context")
    if found["n_too_long"]:
        said.append(f"{found['n_too_long']:,} left out, as a choice is longer than the context")
    return f" [{'; '.join(said)}]" if said else ""
