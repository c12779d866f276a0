"""The questions stage: chooses once what all models of a corpus are asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tasks.benchmarks.store import files_in
from tasks.corpus.benchmarks.item import hellaswag_texts, mmlu_texts
from tasks.corpus.contamination.detection import DetectionConfig
from tasks.corpus.contamination.judge import contamination_of
from tasks.corpus.splits import documents_of
from tasks.stage import Output, PermanentError, kinds, stage
from tasks.synthetic.questions.asked import Items, items_of
from tasks.synthetic.questions.chosen import Chosen, choose, passages_of
from tasks.synthetic.questions.compression import primed_xz_bits_per_byte, xz_bits_per_byte
from tasks.synthetic.questions.config import QuestionsConfig
from tasks.synthetic.questions.files import Asked, HeldOut, Seen, problems, write_questions
from tasks.synthetic.questions.preflight import check


def sources(config: QuestionsConfig) -> str | None:
    """Return a fingerprint of the user's own benchmark files."""
    paths = [Path(config.hellaswag)] if config.hellaswag else []
    if config.mmlu:
        paths += sorted(Path(config.mmlu).glob("*/*.csv"))
    if not paths:
        return None
    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise PermanentError(f"questions names {path}, but there is no such file; paths start at {Path.cwd()}.")
        digest.update(f"{path.parent.name}/{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@stage(
    makes=kinds.Questions,
    headline=("xz_bits_per_byte", "xz_primed_bits_per_byte"),
    version=1,
    contract=problems,
    sources=sources,
    check=check,
)
def questions(
    config: QuestionsConfig, out: Output, corpus: kinds.Corpus, benchmarks: kinds.Benchmarks | None = None
) -> None:
    """Choose held-out text and multiple-choice items, and measure what needs no model: contamination and xz.

    `xz_bits_per_byte` is how many bits the compressor xz needs per byte of held-out text, `xz_primed_bits_per_byte` how
    many it needs after reading the training text.
    """
    test = list(documents_of(corpus.path, {"test"}))
    texts = limited([document.text for document in test], config.text_bytes)
    if not texts:
        raise PermanentError("The test split is empty; hold out more documents with decontaminate.split.test.")
    items = items_of(config, out, test, corpus.path)
    chosen, available = choose(config, out, benchmarks.path if benchmarks else None)
    out.progress(1, 3, "steps", "looking for the items in training documents")
    seen, chosen = _seen(config, items, chosen, corpus.path)
    out.progress(2, 3, "steps", "compressing with xz")
    compression = _compression(config, texts, corpus.path)
    held_out = [HeldOut(one.doc_id, one.url, one.source, one.language, one.text) for one in test[: len(texts)]]
    everything = {**items.available, **available}
    files = files_in(benchmarks.path) if benchmarks else []
    asked = Asked(held_out, items.hellaswag, items.mmlu, items.dev, seen, everything, compression, chosen, files)
    write_questions(out.dir, asked)
    out.count(
        text_bytes=sum(len(text.encode()) for text in texts),
        text_documents=len(texts),
        hellaswag_items=len(chosen.get("hellaswag", items.hellaswag)),
        mmlu_items=len(chosen.get("mmlu", items.mmlu)),
        **{
            f"{name}_contaminated_items": number
            for name, number in {
                **{name: sum(found.contaminated) for name, found in seen.items()},
                **{name: sum(one.contaminated for one in found) for name, found in chosen.items()},
            }.items()
        },
    )
    out.metric(**{f"{name}_bits_per_byte": bits for name, bits in compression.items()})


def _seen(
    config: QuestionsConfig, items: Items, chosen: dict[str, list[Chosen]], corpus: Path
) -> tuple[dict[str, Seen], dict[str, list[Chosen]]]:
    """Return how much of each benchmark item occurs in the training documents.

    The documents are searched again here. The findings of decontaminate cannot be used: they are about the benchmark
    files named when it ran and the text before anything was cut, and they do not cover the items made here. With a new
    search, adding a benchmark later needs no new model, and the flags always describe the text that models learned.
    """
    training = (document.text for document in documents_of(corpus, {"train"}))
    made = {"hellaswag": hellaswag_texts(items.hellaswag), "mmlu": mmlu_texts(items.mmlu)}
    official = {f"{name} (official)": passages_of(name, found) for name, found in chosen.items()}
    found = contamination_of({**made, **official}, training, config.contamination or DetectionConfig())
    seen = {name: Seen(one.contaminated.tolist(), one.fraction.tolist()) for name, one in found.items()}
    flagged = {
        name: [
            replace(one, contaminated=flag, share=share)
            for one, flag, share in zip(of_one, flags.contaminated, flags.share, strict=True)
        ]
        for name, of_one in chosen.items()
        for flags in (seen[f"{name} (official)"],)
    }
    return {name: seen[name] for name in made}, flagged


def _compression(config: QuestionsConfig, texts: Sequence[str], corpus: Path) -> dict[str, float | None]:
    """Return the bits per byte of xz on the held-out text, alone and primed with training text."""
    primed = None
    if config.priming_bytes:
        training = (document.text for document in documents_of(corpus, {"train"}))
        primed = primed_xz_bits_per_byte(texts, limited(training, config.priming_bytes))
    return {"xz": xz_bits_per_byte(texts), "xz_primed": primed}


def limited(texts: Iterable[str], n_bytes: int) -> list[str]:
    """Return the first texts that together have at most `n_bytes`; always at least the first text."""
    chosen: list[str] = []
    for text in texts:
        n_bytes -= len(text.encode())
        if chosen and n_bytes < 0:
            break
        chosen.append(text)
    return chosen
