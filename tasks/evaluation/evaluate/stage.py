"""The evaluate stage: measures one model on held-out text and multiple choice, and compares it with a compressor."""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_whole
from tasks.evaluation.computing import loaded
from tasks.evaluation.evaluate.benchmarks import Results, better_format, formats, results_of, rows_of
from tasks.evaluation.evaluate.config import EvaluateConfig
from tasks.evaluation.evaluate.page import page_of
from tasks.evaluation.evaluate.page_content import measured
from tasks.evaluation.evaluate.parts import HELD_OUT, Parts, measured_benchmark, sizes_of
from tasks.evaluation.evaluate.preflight import check, context_field
from tasks.evaluation.evaluate.prompts import fingerprint_of
from tasks.evaluation.evaluate.report import comparison, write_items
from tasks.evaluation.evaluate.texts import by_group, documents_of, perplexities, write_documents
from tasks.evaluation.evaluate.toxicity import classifier_of, tell, toxicity_of
from tasks.stage import Artifact, Output, kinds, stage
from tasks.stage.work import asking
from tasks.synthetic.questions.files import Asked, read_questions
from tasks.training.trained import chat_template_of

if TYPE_CHECKING:
    from model.scoring import Scorer
    from tasks.evaluation.evaluate.writing import Writer

FORMATS = ("hellaswag", "mmlu_letters", "mmlu_cloze")


def sources(config: EvaluateConfig) -> str | None:
    """Return a fingerprint of the files of prompts, so that the model is evaluated again if one is edited."""
    return None if config.toxicity is None else fingerprint_of(config.toxicity.prompts)


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that bits per byte are finite and positive, accuracies lie in [0, 1], and the counts match the items."""
    import pyarrow.parquet as pq

    results = json.loads((artifact.path / "results.json").read_text())
    value = results["text"]["bits_per_byte"]
    if not (math.isfinite(value) and value > 0):
        yield f"The bits per byte are {value}, no positive number."
    for name, found in results["benchmarks"].items():
        if found["n"] and not 0 <= found.get("acc", 0) <= 1:
            yield f"The accuracy in {name} is {found['acc']} over {found['n']} items."
    rows = pq.read_metadata(artifact.path / "per_item.parquet").num_rows
    asked = sum(found["n"] for found in results["benchmarks"].values() if "format" not in found)
    if rows != asked:
        yield f"per_item.parquet has {rows:,} rows, but {asked:,} items were asked."
    documents = pq.read_metadata(artifact.path / "per_document.parquet").num_rows
    if documents != artifact.counts.get("text_documents"):
        yield f"per_document.parquet has {documents:,} rows, not one for each of the held-out documents."
    for name in ("hellaswag_items", "mmlu_items", "text_bytes"):
        if not artifact.counts.get(name):
            yield f"The count {name} is missing or 0: nothing was measured."


@stage(
    makes=kinds.Evaluation,
    headline=("bits_per_byte", "xz_bits_per_byte", "hellaswag_acc_norm", "mmlu_acc"),
    per="model",
    version=2,
    contract=contract,
    sources=sources,
    check=check,
    gpu=True,
    work=asking,
)
def evaluate(
    config: EvaluateConfig,
    out: Output,
    model: kinds.Model,
    questions: kinds.Questions,
    classifiers: kinds.Documents | None = None,
) -> None:
    """Measure a model on the held-out text and items that `questions` chose; write all numbers and each item's scores.

    `bits_per_byte` is how many bits the model needs per byte of held-out text (lower is better). `xz_bits_per_byte` is
    what the compressor xz needs, `xz_primed_bits_per_byte` what it needs after reading the training text. `perplexity`
    is per token. `hellaswag_acc_norm` and `mmlu_acc` are shares of right answers with standard errors (`…_stderr`),
    also separately for items not found in training documents (`…_clean`) and items found there (`…_contaminated`).
    With `toxicity`, texts that the model writes are scored by a classifier: `toxicity_mean` is the mean score,
    `toxicity_expected_maximum` the mean over prompts of the highest, `toxicity_share_of_prompts` the share of prompts
    with a text above the threshold, `toxicity_own` the mean score of how the prompts go on where they come from.
    """
    asked = read_questions(questions.path)
    scored = config.toxicity if classifiers is not None else None
    classifier = classifier_of(scored, classifiers) if scored and classifiers else None  # first: it may not fit
    askings = formats(asked, config.mmlu_shots)
    found: dict[str, Results] = {}
    controls: dict[str, dict[str, Any]] = {}
    parts = Parts(out, sizes_of(asked.texts, askings, config.controls))
    with _scorer(config, model, parts.read) as (scorer, write):
        texts = [one.text for one in asked.texts]
        documents = parts.kept(HELD_OUT, lambda: documents_of(asked.texts, scorer.rolling(texts, config.min_context)))
        for name, asking in askings.items():
            replies, controls[name] = measured_benchmark(parts, name, asking, scorer, write, config.controls)
            found[name] = results_of(asking, replies, config.bootstrap)
        toxicity = None
        if scored is not None and classifier is not None:
            toxicity = toxicity_of(scored, out, write.model, write.tokenizer, classifier, asked.texts)
    benchmarks = {name: {**one.summary(), "controls": controls[name]} for name, one in found.items()}
    rows = [{"model": model.name, **row} for row in rows_of(found)]
    if asked.mmlu:
        best = better_format({name: benchmarks[name] for name in ("mmlu_letters", "mmlu_cloze")})
        benchmarks["mmlu"] = {**benchmarks[best], "metric": "acc_norm", "format": best}
    text = perplexities(documents)
    text |= {"sources": by_group(documents, "source"), "languages": by_group(documents, "language")}
    results: dict[str, Any] = {"text": text, "benchmarks": benchmarks, "compression": asked.compression}
    results |= {"toxicity": toxicity, "files": asked.files}

    _headline(out, text, benchmarks)
    out.metric(**{f"{name}_bits_per_byte": value for name, value in asked.compression.items()})
    out.count(
        text_bytes=sum(document["bytes"] for document in documents),
        text_documents=len(documents),
        hellaswag_items=len(asked.benchmarks.get("hellaswag", asked.hellaswag)),
        mmlu_items=len(asked.benchmarks.get("mmlu", asked.mmlu)),
    )
    if toxicity is not None:
        tell(out, toxicity)
    _tell_about_prompts(out, benchmarks, context_field(model))
    _tell_about_shots(out, asked, config.mmlu_shots)
    write_items(out.dir / "per_item.parquet", rows)
    write_documents(out.dir / "per_document.parquet", documents)
    write_whole(out.dir / "results.json", json.dumps(results, indent=2, sort_keys=True) + "\n")
    page = page_of([measured(model.stage, results, rows, model)], f"Evaluation of {model.name}")
    write_whole(out.dir / kinds.Evaluation.report, page)
    out.page(Path(kinds.Evaluation.report).stem, page)
    summary = comparison({model.stage: results})
    out.text("comparison", summary)
    out.info(summary)
    out.table("items", rows[:100])


@contextlib.contextmanager
def _scorer(
    config: EvaluateConfig, artifact: Artifact, on_read: Callable[[int], None]
) -> Iterator[tuple[Scorer, Writer]]:
    """Provide a scorer and a writer of an artifact's model; meanwhile torch uses the configured number of threads."""
    from model.chat import prompt_ids, stop_ids
    from model.scoring import Scorer
    from tasks.evaluation.evaluate.writing import Writer

    with loaded(config, artifact) as (model, tokenizer):
        template = chat_template_of(artifact) if config.chat_template else None
        prompt = functools.partial(prompt_ids, tokenizer, template=template) if template else None
        scorer = Scorer(model, tokenizer.encode, tokenizer.bos, config.batch_tokens, prompt, on_read)
        yield scorer, Writer(model, tokenizer, prompt, stop_ids(tokenizer, template), on_read)


def _tell_about_shots(out: Output, asked: Asked, shots: int) -> None:
    """Count and report the questions that had fewer shots than the recipe asks for, because dev/ has too few."""
    short = [item for item in asked.mmlu if len(asked.dev.get(item.subject, [])) < shots]
    if short:
        out.count(mmlu_without_shots=len(short))
        subjects = sorted({item.subject for item in short})
        named = ", ".join(subjects[:5]) + (f" and {len(subjects) - 5:,} more" if len(subjects) > 5 else "")
        out.warning(
            f"{len(short):,} of {len(asked.mmlu):,} MMLU items were asked with fewer than {shots} shots "
            f"(evaluate.mmlu_shots): dev/ has no {shots} items of {named}."
        )


def _tell_about_prompts(out: Output, benchmarks: dict[str, dict[str, Any]], field_of_context: str) -> None:
    """Count and report the items whose prompt was cut or that were left out."""
    for name, found in benchmarks.items():
        if "format" in found:
            continue
        out.count(**{f"{name}_truncated": found["n_truncated"], f"{name}_too_long": found["n_too_long"]})
        if found["n_truncated"]:
            field = "evaluate.mmlu_shots" if name in FORMATS else f"questions.benchmarks.{name}.shots"
            fewer = f" or fewer shots ({field})" if found["shots"] else ""
            out.warning(
                f"{name}: {found['n_truncated']:,} of {found['n']:,} prompts are longer than the model's context and "
                f"lost their beginning; a model with a longer context ({field_of_context}){fewer} would read "
                "them whole."
            )
        if found["n_too_long"]:
            out.warning(
                f"{name}: {found['n_too_long']:,} items were left out, as one of their choices alone is longer than "
                f"the model's context ({field_of_context})."
            )


def _headline(out: Output, text: dict[str, Any], benchmarks: dict[str, dict[str, Any]]) -> None:
    """Record the metrics by which models and runs are compared."""
    numbers = {name: text[name] for name in ("bits_per_byte", "bits_per_character")}
    numbers["perplexity"] = text["token_perplexity"]
    titles = {"hellaswag_acc_norm": "hellaswag", "mmlu_acc": "mmlu"}
    titles |= {
        f"{name}_{found['metric']}": name for name, found in benchmarks.items() if name not in (*FORMATS, "mmlu")
    }
    for title, name in titles.items():
        found = benchmarks[name]
        for part, numbers_of in (("", found), ("_clean", found["clean"]), ("_contaminated", found["contaminated"])):
            numbers[f"{title}{part}"] = numbers_of[found["metric"]]
            numbers[f"{title}{part}_stderr"] = numbers_of[f"{found['metric']}_stderr"]
    out.metric(**numbers)
