"""The tasks of a stage that learns from rewards: of the user's files or the corpus, held out or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from data_lake.reading.ledger import Tally
from data_lake.tables.documents import split_of
from data_lake.tables.draws import hash_draw
from tasks.corpus.splits import documents_of, word_key
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected
from tasks.synthetic.pydoc import entries, module_of
from tasks.synthetic.verifiable import Task, of_entry, sums
from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.sft.instructions import fingerprint_of, instruction_files, read_instructions

if TYPE_CHECKING:
    from model.templates import TemplateName
    from model.tokenizer import Tokenizer

LONGEST_SUMMARY = 160  # characters of the description in a task
TOO_LONG = "longer than the context"


def sources_of(config: ReinforcementConfig, field: str) -> str | None:
    """Return a fingerprint of the user's files, tasks and tests, so that an edited one is another training."""
    tests = config.rewards.tests_file
    named = [fingerprint_of(config.data, f"{field}.data")]
    named.append(fingerprint_of((tests,), f"{field}.rewards.tests_file") if tests else None)
    return ",".join(name or "" for name in named) if any(named) else None


def gather_tasks(
    config: ReinforcementConfig,
    out: Output,
    corpus: Artifact | None,
    tokenizer: Tokenizer,
    context: int,
    template: TemplateName,
) -> dict[str, list[Task]]:
    """Return the tasks by split, train and val, and account for all others.

    Raises PermanentError if there is none to learn from or none to measure on.
    """
    from model.chat import prompt_ids

    tally, rejected = Tally("tasks"), Rejected(out, "broken record")
    kept: dict[str, list[Task]] = {"train": [], "val": []}
    limits = {"train": config.max_examples, "val": config.held_out}
    asked: set[str] = set()
    found = _of_files(config, tally, rejected) if config.data else _made(config, corpus)
    for split, task in sorted(found, key=lambda item: (item[0] != "train", _draw(item[1]))):
        size = len(f"{task.instruction}{task.input}{task.answer}".encode())
        key = word_key(f"{task.instruction}\n{task.input}")
        room = context - len(prompt_ids(tokenizer, task.instruction, task.input, template=template))
        if key in asked:
            tally.remove("asked before", size)
        elif room < config.max_tokens:
            tally.remove(TOO_LONG, size)
            why = f"the prompt leaves room for {max(0, room):,} tokens of {context:,}, but an answer may have "
            rejected.add(TOO_LONG, task.place, f"{why}{config.max_tokens:,}", task.instruction)
        elif len(kept[split]) >= limits[split]:
            tally.remove("beyond max_examples" if split == "train" else "beyond held_out", size)
        else:
            tally.keep(size)
            asked.add(key)
            kept[split].append(task)
    for split, what in (("train", "learn from"), ("val", "measure on")):
        if not kept[split]:
            raise PermanentError(
                f"There is no task to {what}{': ' + rejected.summary() if rejected.rows else ''}. Give more records in "
                "data, or other tasks; arithmetic needs no pages."
            )
    rejected.write(out.warning if config.data else out.info)
    out.ledger(tally.ledger())
    out.count(tasks=len(kept["train"]), validation_tasks=len(kept["val"]), rejected=len(rejected.rows))
    return kept


def _made(config: ReinforcementConfig, corpus: Artifact | None) -> Iterator[tuple[str, Task]]:
    """Yield (split, task) of the pages, and of numbers."""
    if "arithmetic" in config.tasks:
        yield from ((split_of(word_key(task.place), config.validation, 0.0), task) for task in sums())
    if corpus is None:
        return
    for document in documents_of(corpus.path, {"train", "val"}):
        module = module_of(document.url, document.title)
        for entry in entries(document.text, module) if module else ():
            for kind in config.tasks:
                if kind != "arithmetic" and (task := of_entry(kind, entry, LONGEST_SUMMARY)):
                    yield document.split, task


def _of_files(config: ReinforcementConfig, tally: Tally, rejected: Rejected) -> Iterator[tuple[str, Task]]:
    for path in instruction_files(config.data):
        for record in read_instructions(path):
            one = record.found
            if one is None or one.system or one.history:
                reason = record.reason if one is None else "a task is one question: it has earlier turns or a system"
                tally.remove("broken record", len(record.raw.encode()))
                rejected.add("broken record", record.place, reason, record.raw)
                continue
            task = Task(one.instruction, one.input, one.output, record.place)
            key = word_key(f"{one.instruction}\n{one.input}")
            yield split_of(key, config.validation, 0.0), task


def _draw(task: Task) -> int:
    return hash_draw("task", task.instruction, task.input)
