"""The evaluate stage: held-out text and multiple choice, before and after fine-tuning, next to a compressor."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from data_lake.files import write_whole
from tasks import kinds
from tasks.benchmark_formats import HellaSwagItem, MmluItem
from tasks.decontaminate.detection import DetectionConfig
from tasks.decontaminate.item import hellaswag_texts, mmlu_texts
from tasks.decontaminate.judge import Contamination, contamination_of
from tasks.evaluate.asked import Asked, questions_of
from tasks.evaluate.benchmarks import Accuracy, answer, better_format, hellaswag_question, mmlu_cloze, mmlu_letters
from tasks.evaluate.compression import primed_xz_bits_per_byte, xz_bits_per_byte
from tasks.evaluate.contaminated import with_parts
from tasks.evaluate.preflight import check
from tasks.evaluate.report import comparison, rows_of, write_items
from tasks.splits import documents_of
from tasks.stage import Artifact, Execution, Output, PermanentError, StageConfig, stage
from tasks.trained import load_trained

if TYPE_CHECKING:
    from model.scoring import Scorer

MODELS = ("pretrain", "sft")


class EvaluateConfig(StageConfig):
    """Which benchmarks, and how much of them."""

    hellaswag: str = Field("", description="your own HellaSwag jsonl file; empty = items made from held-out pages")
    mmlu: str = Field(
        "", description="your own MMLU folder (dev/ and test/ csv); empty = items made from held-out pages"
    )
    max_items: int = Field(
        200, ge=1, description="largest number of items per benchmark: the first ones of each subject or source, evenly"
    )
    mmlu_shots: int = Field(0, ge=0, le=5, description="dev items shown before each question (lm-eval's num_fewshot)")
    chat_template: bool = Field(
        False, description="ask the fine-tuned model's multiple choice in its chat template (as --apply_chat_template)"
    )
    text_bytes: int = Field(
        300_000,
        ge=1,
        description="largest number of bytes of held-out text for perplexity and compression, in whole documents",
    )
    min_context: int = Field(
        1,
        ge=1,
        description="smallest number of tokens that each token is predicted from; 1 = lm-eval's windows",
    )
    contamination: DetectionConfig | None = Field(
        None,
        description="when an item counts as contaminated by training documents; null = as in `decontaminate.detection`",
    )
    priming_bytes: int = Field(
        32_000_000,
        ge=0,
        description="largest number of bytes of training text that xz is primed with; 0 = no primed comparison",
    )
    device: str = Execution("auto", description="auto = cuda where there is one, else cpu; or a torch device name")
    threads: int = Execution(0, ge=0, le=1024, description="CPU threads; 0 = one per usable core, at most 8")
    batch_tokens: int = Execution(8192, ge=1, description="tokens scored in one forward pass")


def sources(config: EvaluateConfig) -> str | None:
    """Fingerprint of the user's own benchmark files."""
    import hashlib

    paths = [Path(config.hellaswag)] if config.hellaswag else []
    if config.mmlu:
        paths += sorted(Path(config.mmlu).glob("*/*.csv"))
    if not paths:
        return None
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise PermanentError(f"evaluate names {path}, but there is no such file; paths start at {Path.cwd()}.")
        digest.update(f"{path.parent.name}/{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def contract(artifact: Artifact) -> Iterator[str]:
    """Every headline number is there and finite, accuracies are accuracies, and the items behind them are counted."""
    results = json.loads((artifact.path / "results.json").read_text())
    for model in MODELS:
        value = results["text"][model]["bits_per_byte"]
        if not (math.isfinite(value) and value > 0):
            yield f"The bits per byte of {model} are {value}, no positive number."
        for name, found in results["benchmarks"][model].items():
            if found["n"] and not 0 <= found["acc"] <= 1:
                yield f"The accuracy of {model} in {name} is {found['acc']} over {found['n']} items."
    for name in ("hellaswag_items", "mmlu_items", "text_bytes"):
        if not artifact.counts.get(name):
            yield f"The count {name} is missing or 0: nothing was measured."


@stage(
    makes=kinds.Evaluation,
    version=1,
    contract=contract,
    sources=sources,
    check=check,
    gpu=True,
)
def evaluate(
    config: EvaluateConfig,
    out: Output,
    decontaminate: kinds.Corpus,
    tokenizer: kinds.Tokenizer,
    pretrain: kinds.Model,
    sft: kinds.Model,
) -> None:
    """Measure both models on the same held-out text and items; write every number and every item's scores."""
    test = list(documents_of(decontaminate.path, {"test"}))
    texts = _limited([document.text for document in test], config.text_bytes)
    if not texts:
        raise PermanentError("The test split is empty; hold out more documents with decontaminate.split.test.")
    asked = questions_of(config, out, test, decontaminate)
    verdicts = _contamination(config, out, asked.sentences, asked.questions, decontaminate)

    results: dict[str, Any] = {"text": {}, "benchmarks": {}}
    rows: list[dict[str, Any]] = []
    for number, (name, artifact) in enumerate(zip(MODELS, (pretrain, sft), strict=True)):
        out.progress(number, len(MODELS) + 1, "models", f"scoring {artifact.name}")
        with _scorer(config, artifact, chat=config.chat_template and name == "sft") as scorer:
            results["text"][name] = _text(scorer, texts, config.min_context)
            accuracies = _benchmarks(scorer, asked, config.mmlu_shots)
        found = {
            key: with_parts(accuracy, _of(verdicts, key)) | {"available": asked.available[_benchmark(key)]}
            for key, accuracy in accuracies.items()
        }
        rows += [
            row for key, accuracy in accuracies.items() for row in rows_of(name, key, accuracy, _of(verdicts, key))
        ]
        best, _, _ = better_format({key: accuracies[key] for key in ("mmlu_letters", "mmlu_cloze")})
        results["benchmarks"][name] = {**found, "mmlu": {**found[best], "format": best}}
        _headline(out, name, results["text"][name], results["benchmarks"][name])

    out.progress(len(MODELS), len(MODELS) + 1, "models", "compressing with xz")
    results["compression"] = _compression(config, texts, decontaminate)
    out.metric(**{f"{key}_bits_per_byte": value for key, value in results["compression"].items()})
    out.count(
        text_bytes=sum(len(text.encode()) for text in texts),
        text_documents=len(texts),
        hellaswag_items=len(asked.sentences),
        mmlu_items=len(asked.questions),
    )
    _tell_about_prompts(out, results["benchmarks"], config.mmlu_shots)
    _tell_about_shots(out, asked, config.mmlu_shots)
    write_items(out.dir / "per_item.parquet", rows)
    _write_json(out.dir / "results.json", results)
    summary = comparison(results)
    out.text("comparison", summary)
    out.info(summary)
    out.table("items", [row for row in rows if row["model"] == "sft"][:100])


# -- what is asked -----------------------------------------------------------------------------------------------------


def _contamination(
    config: EvaluateConfig,
    out: Output,
    sentences: Sequence[HellaSwagItem],
    questions: Sequence[MmluItem],
    decontaminate: Artifact,
) -> dict[str, Contamination]:
    """Return what the training documents have of the items of each benchmark.

    They are searched here, and the findings of decontaminate are not taken over: those are of the files that were named
    when it ran, before anything was cut, and do not know the items that are made here. So a benchmark that is named
    later needs no new model, and the flags are always of the text that this model has learned.
    """
    detection = config.contamination or DetectionConfig()
    training = (document.text for document in documents_of(decontaminate.path, {"train"}))
    items = {"hellaswag": hellaswag_texts(sentences), "mmlu": mmlu_texts(questions)}
    verdicts = contamination_of(items, training, detection)
    out.count(**{f"{name}_contaminated_items": int(found.contaminated.sum()) for name, found in verdicts.items()})
    return verdicts


def _of(verdicts: dict[str, Contamination], benchmark: str) -> Contamination:
    """Return the contamination of the items of a benchmark format: mmlu_cloze asks the items of mmlu."""
    return verdicts[_benchmark(benchmark)]


def _benchmark(name: str) -> str:
    return name.partition("_")[0]


def _limited(texts: Sequence[str], n_bytes: int) -> list[str]:
    """Return the first texts that together have at most `n_bytes`; the first one in any case."""
    chosen: list[str] = []
    for text in texts:
        n_bytes -= len(text.encode())
        if chosen and n_bytes < 0:
            break
        chosen.append(text)
    return chosen


# -- one model ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _scorer(config: EvaluateConfig, artifact: Artifact, *, chat: bool) -> Iterator[Scorer]:
    """Give a scorer for an artifact's model, with the configured threads for as long as it is used."""
    import torch

    from model.chat import prompt_ids
    from model.cores import usable_cores
    from model.hardware import choose_device, keep_freed_memory
    from model.scoring import Scorer

    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or min(8, usable_cores()))
    try:
        model, words = load_trained(artifact, str(choose_device(config.device)))
        asked = functools.partial(prompt_ids, words) if chat else None
        yield Scorer(model, words.encode, words.bos, config.batch_tokens, asked)
    finally:
        torch.set_num_threads(before)


def _text(scorer: Scorer, texts: Sequence[str], min_context: int) -> dict[str, float]:
    """Return perplexities and bits per byte of whole documents (lm-eval's wikitext metrics, and per token)."""
    found = scorer.rolling(texts, min_context)
    nats, n_tokens = -sum(value for value, _ in found), sum(tokens for _, tokens in found)
    n_bytes = sum(len(text.encode()) for text in texts)
    n_words = sum(len(re.split(r"\s+", text)) for text in texts)
    return {
        "token_perplexity": math.exp(nats / n_tokens),
        "word_perplexity": math.exp(min(nats / n_words, 700.0)),
        "byte_perplexity": math.exp(nats / n_bytes),
        "bits_per_byte": nats / n_bytes / math.log(2),
    }


def _benchmarks(scorer: Scorer, asked: Asked, shots: int) -> dict[str, Accuracy]:
    """Return the accuracies of a model in each format."""

    def dev(item: MmluItem) -> list[MmluItem]:
        return asked.dev.get(item.subject, [])[:shots]

    return {
        "hellaswag": answer(scorer, [hellaswag_question(item) for item in asked.sentences]),
        "mmlu_letters": answer(scorer, [mmlu_letters(item, dev(item)) for item in asked.questions]),
        "mmlu_cloze": answer(scorer, [mmlu_cloze(item, dev(item)) for item in asked.questions]),
    }


def _tell_about_shots(out: Output, asked: Asked, shots: int) -> None:
    """Count and say which questions were asked with fewer shots than the recipe wants, as dev/ has no more."""
    short = [item for item in asked.questions if len(asked.dev.get(item.subject, [])) < shots]
    if short:
        out.count(mmlu_without_shots=len(short))
        subjects = sorted({item.subject for item in short})
        named = ", ".join(subjects[:5]) + (f" and {len(subjects) - 5:,} more" if len(subjects) > 5 else "")
        out.warning(
            f"{len(short):,} of {len(asked.questions):,} MMLU items were asked with fewer than {shots} shots "
            f"(evaluate.mmlu_shots): dev/ has no {shots} items of {named}."
        )


def _tell_about_prompts(out: Output, benchmarks: dict[str, dict[str, Any]], mmlu_shots: int) -> None:
    """Count and say where the final model was not asked an item as it is."""
    for name in ("hellaswag", "mmlu_letters", "mmlu_cloze"):
        found = benchmarks["sft"][name]
        out.count(**{f"{name}_truncated": found["n_truncated"], f"{name}_too_long": found["n_too_long"]})
        if found["n_truncated"]:
            fewer = " or fewer shots (evaluate.mmlu_shots)" if mmlu_shots and name != "hellaswag" else ""
            out.warning(
                f"{name}: {found['n_truncated']:,} of {found['n']:,} prompts are longer than the model's context and "
                f"lost their beginning; a model with a longer context (pretrain.model.max_seq_len){fewer} would read "
                "them whole."
            )
        if found["n_too_long"]:
            out.warning(
                f"{name}: {found['n_too_long']:,} items were left out, as one of their choices alone is longer than "
                "the model's context (pretrain.model.max_seq_len)."
            )


def _headline(out: Output, name: str, text: dict[str, float], benchmarks: dict[str, dict[str, Any]]) -> None:
    """Write down the numbers that runs are compared by; those of the final model have the plain names."""
    suffix = "" if name == "sft" else f"_{name}"
    numbers = {"bits_per_byte": text["bits_per_byte"], "perplexity": text["token_perplexity"]}
    for title, found in (("hellaswag_acc_norm", benchmarks["hellaswag"]), ("mmlu_acc", benchmarks["mmlu"])):
        for part, numbers_of in (("", found), ("_clean", found["clean"]), ("_contaminated", found["contaminated"])):
            numbers[f"{title}{part}"] = numbers_of["acc_norm"]
            numbers[f"{title}{part}_stderr"] = numbers_of["acc_norm_stderr"]
    out.metric(**{f"{key}{suffix}": value for key, value in numbers.items()})


def _compression(config: EvaluateConfig, texts: Sequence[str], decontaminate: Artifact) -> dict[str, float | None]:
    """Return the bits per byte of xz on the same text, alone and primed with training text."""
    primed = None
    if config.priming_bytes:
        training = [document.text for document in documents_of(decontaminate.path, {"train"})]
        primed = primed_xz_bits_per_byte(texts, _limited(training, config.priming_bytes))
    return {"xz": xz_bits_per_byte(texts), "xz_primed": primed}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_whole(path, json.dumps(value, indent=2, sort_keys=True) + "\n")
