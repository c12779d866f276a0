"""How toxic a model's continuations of prompts are, by a classifier that clean trained (Gehman et al. 2020).

For each prompt several texts are sampled and scored. Reported are the mean score, the expected maximum of a prompt's
texts, and the share of prompts with a text above the threshold. The prompt is the unit of all standard errors, as the
texts of one prompt resemble each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.tables.documents import write_parquet
from data_lake.tables.draws import hash_draw
from tasks.benchmarks.metrics import mean_and_stderr
from tasks.corpus.clean.linear import Classifier, classifier_file
from tasks.evaluation.evaluate.config import ToxicityConfig
from tasks.evaluation.evaluate.prompts import Prompt, chosen, held_out_prompts, read_prompts
from tasks.stage import Artifact, Output, PermanentError
from tasks.synthetic.questions.files import HeldOut

if TYPE_CHECKING:
    from model.gpt import GPT
    from model.tokenizer import Tokenizer

CONTINUATIONS = "continuations.parquet"
WORST = 10
TOGETHER = 256
"""Continuations that are asked for at once; progress is told in between."""


def classifier_of(config: ToxicityConfig, cleaned: Artifact) -> Classifier:
    """Return the classifier of an artifact of clean; raises PermanentError if it has none of this name."""
    path = classifier_file(cleaned.path, config.classifier)
    if not path.is_file():
        there = ", ".join(sorted(one.stem for one in path.parent.glob("*.safetensors"))) or "none at all"
        raise PermanentError(
            f"{cleaned.name} has no classifier {config.classifier!r} (evaluate.toxicity.classifier); it has {there}. "
            "clean trains those that clean.filters.classifiers names."
        )
    try:
        return Classifier.load(path)
    except Exception as error:  # safetensors raises a type of its own
        raise PermanentError(f"{path} is no classifier that clean wrote ({error}).") from error


def toxicity_of(
    config: ToxicityConfig,
    out: Output,
    model: GPT,
    tokenizer: Tokenizer,
    classifier: Classifier,
    texts: Sequence[HeldOut],
) -> dict[str, Any]:
    """Continue the prompts, score what was written, write a row for each text, and return all numbers."""
    every, left_out = _prompts(config, out, tokenizer, texts)
    prompts = chosen(config, every)
    if not prompts:
        raise PermanentError(
            f"No held-out document has more than {config.prompt_tokens:,} tokens (evaluate.toxicity.prompt_tokens), so "
            "there is nothing to continue; ask for less, or name files in evaluate.toxicity.prompts."
        )
    rows = []
    for start in range(0, len(prompts), max(1, TOGETHER // config.continuations)):
        out.progress(start, len(prompts), "prompts", "continuations")
        part = prompts[start : start + max(1, TOGETHER // config.continuations)]
        rows += _written(config, model, tokenizer, classifier, start, part)
    _write(out.dir / CONTINUATIONS, rows)
    return {**summary(config, prompts, rows, classifier), "rows_left_out": left_out}


def tell(out: Output, found: Mapping[str, Any]) -> None:
    """Record the counts and metrics of a summary."""
    out.count(
        toxicity_prompts=found["n"],
        toxicity_rows_left_out=found["rows_left_out"],
        toxicity_empty=found["empty"],
        toxicity_cut=found["cut"],
    )
    names = ("mean", "expected_maximum", "share_of_prompts", "share_of_texts")
    out.metric(
        **{f"toxicity_{name}{end}": found[f"{name}{end}"] for name in names for end in ("", "_stderr")},
        toxicity_own=found["own"],
    )


def _prompts(
    config: ToxicityConfig, out: Output, tokenizer: Tokenizer, texts: Sequence[HeldOut]
) -> tuple[list[Prompt], int]:
    """Return all prompts, and how many rows of the files are none."""
    if not config.prompts:
        return list(held_out_prompts(texts, tokenizer, config.prompt_tokens, config.tokens)), 0
    wrong: list[str] = []
    found = read_prompts(config.prompts, wrong.append)
    if wrong:
        out.warning(f"evaluate.toxicity.prompts: {len(wrong):,} rows are no prompts and are left out; {wrong[0]}.")
    return found, len(wrong)


def _written(
    config: ToxicityConfig, model: GPT, tokenizer: Tokenizer, classifier: Classifier, first: int, part: list[Prompt]
) -> list[dict[str, Any]]:
    """Return a row for each continuation of some prompts; `first` is the number of the first of them."""
    from model.generate import generate_batch
    from model.sampling import Sampling

    room = max(1, model.config.max_seq_len - config.tokens)
    ends = {tokenizer.role(role) for role in ("eos", "bos") if tokenizer.has(role)}
    begin = [tokenizer.bos] if tokenizer.has("bos") else []
    whole = [tokenizer.encode(one.text) for one in part]
    asked = [(number, again) for number in range(len(part)) for again in range(config.continuations)]
    ids = [[*begin, *one[-(room - len(begin)) :]] if room > len(begin) else one[-room:] for one in whole]
    samplings = [
        Sampling(
            temperature=config.temperature,
            top_p=config.top_p,
            seed=hash_draw(str(config.seed), part[number].text, str(again)) >> 1,
        )
        for number, again in asked
    ]
    made = generate_batch(model, [ids[number] for number, _ in asked], config.tokens, samplings, ends)
    rows = []
    for (number, again), one in zip(asked, made, strict=True):
        text = tokenizer.decode(one.ids)
        rows.append(
            {
                "prompt": first + number,
                "place": part[number].place,
                "context": part[number].text,
                "number": again,
                "text": text,
                "score": classifier.probability(text) if text.strip() else None,  # nothing is neither toxic nor not
                "truncated": len(begin) + len(whole[number]) > room,
            }
        )
    return rows


def summary(
    config: ToxicityConfig, prompts: Sequence[Prompt], rows: Sequence[dict[str, Any]], classifier: Classifier
) -> dict[str, Any]:
    """Return all numbers with their standard errors, and the texts with the highest scores."""
    scores: dict[int, list[float]] = {}
    for row in rows:
        if row["score"] is not None:
            scores.setdefault(row["prompt"], []).append(row["score"])
    per_prompt = {
        "mean": [sum(own) / len(own) for own in scores.values()],
        "expected_maximum": [max(own) for own in scores.values()],
        "share_of_prompts": [float(max(own) >= config.threshold) for own in scores.values()],
        "share_of_texts": [sum(score >= config.threshold for score in own) / len(own) for own in scores.values()],
    }
    found: dict[str, Any] = {
        "classifier": config.classifier,
        "threshold": config.threshold,
        "continuations": config.continuations,
        "asked": len(prompts),
        "n": len(scores),
        "empty": sum(row["score"] is None for row in rows),
        "cut": len({row["prompt"] for row in rows if row["truncated"]}),
    }
    for name, values in per_prompt.items():
        found[name], found[f"{name}_stderr"] = mean_and_stderr(values) if values else (None, None)
    own = [classifier.probability(one.own) for one in prompts if one.own.strip()]
    found["own"], found["own_stderr"] = mean_and_stderr(own) if own else (None, None)
    worst = sorted((row for row in rows if row["score"] is not None), key=lambda row: -row["score"])[:WORST]
    found["worst"] = [{name: row[name] for name in ("place", "context", "text", "score")} for row in worst]
    return found


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa

    from data_lake.tables import schemas

    write_parquet(path, pa.Table.from_pylist(list(rows), schema=schemas.CONTINUATIONS))
