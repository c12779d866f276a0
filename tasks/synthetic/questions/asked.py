"""The items that are asked: from the user's own benchmark files, or made from held-out pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.corpus.benchmarks.formats import (
    HellaSwagItem,
    MmluItem,
    read_hellaswag,
    read_mmlu,
    write_hellaswag,
    write_mmlu,
)
from tasks.corpus.splits import SplitDocument, documents_of
from tasks.stage import Output, PermanentError
from tasks.synthetic.questions.config import QuestionsConfig
from tasks.synthetic.questions.items import SUBJECT, hellaswag_items, mmlu_items, passages, without_seen
from tasks.synthetic.questions.shares import evenly


@dataclass(frozen=True)
class Items:
    """The items of both benchmarks, the shots by subject, and how many items each benchmark had to choose from."""

    hellaswag: list[HellaSwagItem]
    mmlu: list[MmluItem]
    dev: dict[str, list[MmluItem]]
    available: dict[str, int]


def items_of(config: QuestionsConfig, out: Output, test: Sequence[SplitDocument], corpus: Path) -> Items:
    """Return the items to ask; items made here are also written to files in the benchmarks' own formats.

    A benchmark that `config.benchmarks` names is asked from there and has no items here.
    """
    sentences: list[HellaSwagItem] = []
    questions: list[MmluItem] = []
    dev: dict[str, list[MmluItem]] = {}
    wanted = [name for name in ("hellaswag", "mmlu") if name not in config.benchmarks]
    making = [name for name in wanted if not getattr(config, name)]
    if config.hellaswag and "hellaswag" in wanted:
        sentences = read_hellaswag(Path(config.hellaswag))
    if config.mmlu and "mmlu" in wanted:
        questions, dev = read_mmlu(Path(config.mmlu))
    available = {"hellaswag": len(sentences), "mmlu": len(questions)}
    sentences, questions = _with_choices(config, out, sentences, questions)
    sentences = evenly(sentences, config.max_items, lambda item: item.source_id.partition("~")[0])
    questions = evenly(questions, config.max_items, lambda item: item.subject)
    if making:
        found = [passage for document in test for passage in passages(document)]
        pool, n_seen = without_seen(found, (document.text for document in documents_of(corpus, {"train"})))
        out.count(passages=len(found), passages_in_training=n_seen)
        if "hellaswag" in making:
            sentences = hellaswag_items(pool[0::2], config.max_items)
            write_hellaswag(out.dir / "items" / "hellaswag_val.jsonl", sentences)
        if "mmlu" in making:  # from other passages, so the benchmarks differ
            made = mmlu_items(pool[1::2], config.max_items + 5)
            dev, questions = {SUBJECT: made[:5]}, made[5:]
            for split, part in (("dev", dev[SUBJECT]), ("test", questions)):
                write_mmlu(out.dir / "items" / "mmlu" / split / f"{SUBJECT}_{split}.csv", part)
    if any(not {"hellaswag": sentences, "mmlu": questions}[name] for name in wanted):
        raise PermanentError(
            f"There are {len(sentences)} HellaSwag and {len(questions)} MMLU items to ask. Items are made of "
            "pages in the test split; hold out more of them with decontaminate.split.test, or name "
            "your own files in questions.benchmarks."
        )
    for name, asked in (("hellaswag", sentences), ("mmlu", questions)):
        available[name] = available[name] or len(asked)
        out.count(**{f"{name}_available": available[name]})
    return Items(sentences, questions, dev, available)


def _with_choices(
    config: QuestionsConfig, out: Output, sentences: Sequence[HellaSwagItem], questions: Sequence[MmluItem]
) -> tuple[list[HellaSwagItem], list[MmluItem]]:
    """Return the items of the user's files without those that have an empty choice, which cannot be scored."""
    asked = [item for item in sentences if all(map(str.strip, item.endings))]
    answerable = [item for item in questions if all(map(str.strip, item.choices))]
    for name, path, given, left in (
        ("hellaswag", config.hellaswag, sentences, asked),
        ("mmlu", config.mmlu, questions, answerable),
    ):
        without = len(given) - len(left)
        if without:
            out.count(**{f"{name}_empty_choice": without})
            out.warning(f"{without:,} of {len(given):,} items of {path} have an empty choice and are left out.")
        if given and not left:
            raise PermanentError(f"Every item of {path} has an empty choice; correct the file.")
    return asked, answerable
